"""What an event says of itself comes back out of each broker's store, after a restart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tidings import NewEvent, Tidings, partition_of
from tidings.plugins import DeliveryError
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import ActiveMQ, RabbitMQ
    from tidings import ReceivedMessage
    from tidings.plugins import MessageConsumer

AGGREGATE = "App\\Order Zoë ☃ 😀"
METADATA = {"who": "Zoë 😀", "path": "C:\\u0041", "lines": "a\nb:c"}
TRACE = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "shop=00f067aa0ba902b7",
    "baggage": "tenant=acme",
}
PARTITIONS = 3

CONFIGURATION = """
[event_store]
url = "sqlite:///{folder}/events.db"
[exchanges.kept]
producer = "{word}"
[exchanges.addressed]
producer = "{word}"
routing_key = "shop.{{metadata.tenant}}"
headers = {{ tenant = "metadata.tenant", placed_by = "metadata.who" }}
partition_by = "aggregate_id"
partitions = {partitions}
[producers.{word}]
url = "{url}"
{more}
"""


def is_open(consumer: MessageConsumer, exchange_name: str) -> bool:
    """Try to open; a broker, or its stream's leader, that has just started may not be there yet."""
    try:
        consumer.open(exchange_name)
    except DeliveryError as error:
        if not error.transient:
            raise
        return False
    return True


def received(consumer: MessageConsumer, exchange_name: str) -> ReceivedMessage:
    eventually(lambda: is_open(consumer, exchange_name), seconds=60)
    message = consumer.receive(30)
    consumer.close()
    assert message
    return message


@pytest.mark.parametrize("word", ["rabbitmq", "rabbitmq-stream", "activemq"])
def test_every_header_comes_back_out_of_the_store(
    own_rabbitmq: Callable[..., RabbitMQ],
    own_activemq: Callable[..., ActiveMQ],
    tmp_path: Path,
    word: str,
) -> None:
    more = ""
    if word == "activemq":
        broker: ActiveMQ | RabbitMQ = own_activemq()
        url = broker.url
        more = 'routing = "header"'
    else:
        broker = own_rabbitmq(stream=True)
        url = broker.url if word == "rabbitmq" else broker.stream_url
    file = tmp_path / "tidings.toml"
    configured = CONFIGURATION.format(
        folder=tmp_path, word=word, url=url, partitions=PARTITIONS, more=more
    )
    file.write_text(configured)
    metadata = {**METADATA, **TRACE, "tenant": "acme"}
    event = NewEvent("Bestellt ☃😀", {"a": "😀"}, aggregate_id=AGGREGATE, metadata=metadata)
    with Tidings.from_file(file, environ={}) as tidings:
        store = tidings.event_store()
        store.create()
        with store.transaction() as transaction:
            store.append(transaction, event)
        store.close()
        for name in ("kept", "addressed"):
            tidings.notification_service(name).publish_notifications(name)
        broker.restart()
        kept = received(tidings.consumer("kept"), "kept")
        every = range(PARTITIONS)
        addressed = received(tidings.consumer("addressed", partitions=every), "addressed")

    for message in (kept, addressed):
        assert (message.message_id, message.type_name) == ("1", event.type_name)
        assert message.occurred_on == event.occurred_on
        assert json.loads(message.body) == event.body
        assert message.content_type == "application/json"
        assert message.headers["aggregate_id"] == AGGREGATE
        assert json.loads(message.headers["metadata"]) == metadata
        assert {name: message.headers[name] for name in TRACE} == TRACE
    assert (kept.routing_key, kept.partition) == ("", None)
    assert addressed.routing_key == "shop.acme"
    assert addressed.partition == partition_of(AGGREGATE, PARTITIONS)
    assert (addressed.headers["tenant"], addressed.headers["placed_by"]) == ("acme", "Zoë 😀")
