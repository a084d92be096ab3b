"""A trace that begins in an application's span is found in the consumer's, over every backend."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from opentelemetry import baggage, context, propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from tests.relay.working import running
from tests.servers import free_port
from tidings import NewEvent, Tidings, record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.given import Broker, StreamBroker
    from tidings import ReceivedMessage

CONFIGURATION = """
[event_store]
url = "sqlite:///{folder}/events.db"

[exchanges.traced-{word}-{serializer}]
producer = "{word}"
serializer = "{serializer}"

[serializers.cloudevents]
source = "/shop"

[producers.rabbitmq]
url = "{rabbitmq}"

[producers.rabbitmq-stream]
url = "{stream}"

[producers.activemq]
url = "{activemq}"

[producers.zeromq]
bind = "tcp://127.0.0.1:{port}"
subscribers = ["app"]
"""


@pytest.fixture
def url_of(rabbitmq: StreamBroker, activemq: Broker) -> dict[str, str]:
    return {
        "rabbitmq": rabbitmq.url,
        "stream": rabbitmq.stream_url,
        "activemq": activemq.url,
        "port": str(free_port()),
    }


def received(tidings: Tidings, exchange: str) -> ReceivedMessage:
    consumer = tidings.consumer(exchange, "app")
    # With ZeroMQ the relay is the other end.
    with running(tidings.route(exchange)):
        try:
            consumer.open(exchange)
            message = consumer.receive(60)
            assert message
            consumer.acknowledge(message)
        finally:
            consumer.close()
    return message


@pytest.mark.parametrize("serializer", ["json", "cloudevents"])
@pytest.mark.parametrize("word", ["rabbitmq", "rabbitmq-stream", "activemq", "zeromq"])
def test_the_consumers_span_is_in_the_applications_trace(
    url_of: dict[str, str], tmp_path: Path, word: str, serializer: str
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    exchange = f"traced-{word}-{serializer}"
    file = tmp_path / "tidings.toml"
    file.write_text(
        CONFIGURATION.format(folder=tmp_path, word=word, serializer=serializer, **url_of)
    )
    with Tidings.from_file(file, environ={}) as tidings:
        store = tidings.event_store()
        store.create()
        store.close()
        engine = create_engine(f"sqlite:///{tmp_path}/events.db", poolclass=NullPool)
        token = context.attach(baggage.set_baggage("tenant", "acme"))
        with (
            tracer.start_as_current_span("place order") as placing,
            Session(engine) as session,
            session.begin(),
        ):
            record(session, NewEvent("OrderPlaced", {"n": 1}))
        context.detach(token)
        message = received(tidings, exchange)

    carried = propagate.extract(message.headers)
    with tracer.start_as_current_span("process", context=carried, kind=SpanKind.CONSUMER):
        pass

    recorded, consumed = exporter.get_finished_spans()
    assert recorded.context == placing.get_span_context()
    assert consumed.context.trace_id == recorded.context.trace_id
    assert consumed.parent
    assert consumed.parent.span_id == recorded.context.span_id
    assert baggage.get_baggage("tenant", carried) == "acme"
    if serializer == "cloudevents":
        assert json.loads(message.body)["traceparent"] == message.headers["traceparent"]
