"""A span and two metrics of each batch, as the SDK's in-memory exporters hear of them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.relay.parts import Parts, Producer, X, at, relay_threads
from tests.relay.working import running
from tidings import BrokerUnavailableError, NewEvent, UndeliverableEventError
from tidings.plugins import ObservedRelay, Settings
from tidings.testing import eventually
from tidings_opentelemetry.batches_in_flight import BatchesInFlight, SentBatch
from tidings_opentelemetry.observer import OpenTelemetryObserver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

PARENT = "00-{:032x}-{:016x}-01"


class Heard:
    """A process that has set up the SDK."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracing = TracerProvider()
        tracing.add_span_processor(SimpleSpanProcessor(self._exporter))
        measuring = MeterProvider([self._reader])
        # The API takes a provider once in a process.
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracing)
        monkeypatch.setattr(trace, "get_tracer", tracing.get_tracer)
        monkeypatch.setattr(metrics, "get_meter", measuring.get_meter)
        self.observer = OpenTelemetryObserver(Settings())
        self.observer.attached(ObservedRelay({X: "rabbitmq-stream"}, lambda _names: iter(())))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def points(self, name: str) -> list[Any]:
        data: Any = self._reader.get_metrics_data()
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    return Heard(monkeypatch)


@pytest.fixture
def parts(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    monkeypatch.setattr("tidings.relay.backoff.LONGEST_TRANSIENT", 0.05)
    monkeypatch.setattr("tidings.relay.backoff.LONGEST_LASTING", 0.05)
    parts = Parts()
    parts.told = heard.observer  # type: ignore[assignment]
    yield parts
    eventually(lambda: not relay_threads())


def append(parts: Parts, *metadata: dict[str, Any] | None) -> None:
    with parts.store.transaction() as transaction:
        events = [NewEvent("OrderPlaced", {}, metadata=each) for each in metadata]
        parts.store.append(transaction, *events)


def traced(trace_id: int, span_id: int) -> dict[str, Any]:
    return {"traceparent": PARENT.format(trace_id, span_id)}


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def ids(span: ReadableSpan) -> tuple[int, int, int]:
    found = attributes(span)
    return (
        found["tidings.first_event_id"],
        found["tidings.last_event_id"],
        found["messaging.batch.message_count"],
    )


def test_a_batch_is_a_span_linked_to_where_its_events_were_recorded(
    parts: Parts, heard: Heard
) -> None:
    append(parts, traced(0xA, 1), traced(0xA, 1), traced(0xB, 2), None, {"tenant": "x"})

    parts.service().publish_notifications(X)

    (span,) = heard.spans
    assert span.name == "publish x"
    assert span.kind is SpanKind.CLIENT
    assert span.parent is None
    links = [(link.context.trace_id, link.context.span_id) for link in span.links]
    assert links == [(0xA, 1), (0xB, 2)]
    assert span.status.status_code is StatusCode.UNSET
    assert (span.start_time or 0) <= (span.end_time or 0)
    assert attributes(span) == {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "x",
        "messaging.batch.message_count": 5,
        "tidings.first_event_id": 1,
        "tidings.last_event_id": 5,
    }


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"traceparent": "no such thing"},
        {"traceparent": 7},
        {"inside": traced(0xA, 1)},
        {"traceparent": PARENT.format(0, 1)},
    ],
)
def test_of_what_is_no_trace_there_is_no_link(
    parts: Parts, heard: Heard, metadata: dict[str, Any] | None
) -> None:
    append(parts, metadata)

    parts.service().publish_notifications(X)

    (span,) = heard.spans
    assert list(span.links) == []
    assert span.kind is SpanKind.PRODUCER


def test_what_is_current_where_the_relay_works_is_no_recording_context(
    parts: Parts, heard: Heard
) -> None:
    append(parts, {"traceparent": "no such thing"})

    with trace.get_tracer("a program").start_as_current_span("its own"):
        parts.service().publish_notifications(X)

    published, own = heard.spans
    assert (published.name, own.name) == ("publish x", "its own")
    assert list(published.links) == []


def test_what_was_accepted_before_a_replay_says_nothing_of_what_comes_after_it() -> None:
    in_flight = BatchesInFlight()
    in_flight.add(SentBatch([1, 2], 0, ()))
    in_flight.accepted(2)
    assert len(list(in_flight.take_accepted())) == 1
    assert list(in_flight.take_all()) == []
    in_flight.add(SentBatch([1, 2], 0, ()))

    in_flight.accepted(1)

    assert list(in_flight.take_accepted()) == []


def test_many_events_are_a_span_for_each_call_of_the_producer(parts: Parts, heard: Heard) -> None:
    append(parts, *[None] * 250)

    parts.service().publish_notifications(X)

    assert [ids(span) for span in heard.spans] == [(1, 100, 100), (101, 200, 100), (201, 250, 50)]


def test_messages_and_durations_are_counted(parts: Parts, heard: Heard) -> None:
    append(parts, *[None] * 150)

    parts.service().publish_notifications(X)

    (messages,) = heard.points("messaging.client.sent.messages")
    (duration,) = heard.points("messaging.client.operation.duration")
    assert messages.value == 150
    assert duration.count == 2
    assert (
        dict(messages.attributes)
        == dict(duration.attributes)
        == {
            "messaging.system": "rabbitmq",
            "messaging.operation.name": "publish",
            "messaging.destination.name": "x",
        }
    )


def test_what_a_broker_lost_is_a_span_with_the_error_and_is_sent_again(
    parts: Parts, heard: Heard
) -> None:
    append(parts, *[traced(0xA, 1)] * 3)
    parts.producer.before_send = at(3, parts.broker.cut)

    with running(parts.route()):
        eventually(lambda: parts.position() == 3)

    lost, *sent = heard.spans
    assert lost.status.status_code is StatusCode.ERROR
    assert attributes(lost)["error.type"] == "BrokerUnavailableError"
    assert len(lost.links) == 1
    assert sent
    assert {span.status.status_code for span in sent} == {StatusCode.UNSET}
    assert ids(sent[-1])[1] == 3


def test_what_a_service_could_not_send_is_a_span_with_an_error(parts: Parts, heard: Heard) -> None:
    append(parts, None)
    parts.producer = Producer(parts.broker, no_progress=0.02)
    parts.producer.before_send = at(1, parts.broker.freeze)

    with pytest.raises(BrokerUnavailableError):
        parts.service().publish_notifications(X)

    (span,) = heard.spans
    assert attributes(span)["error.type"] == "_OTHER"
    parts.broker.thaw()


def test_an_event_in_quarantine_is_in_no_span_that_succeeded(parts: Parts, heard: Heard) -> None:
    append(parts, *[None] * 5)
    poison = UndeliverableEventError("Event 3 is poison.", exchange_name=X, event_id=3)

    def refuse() -> None:
        raise poison

    parts.producer.before_send = at(3, refuse)
    parts.service(passes_poison=True).publish_notifications(X)

    assert [ids(span) for span in heard.spans] == [(1, 2, 2), (4, 5, 2)]


def test_after_a_replay_the_same_events_are_spans_again(parts: Parts, heard: Heard) -> None:
    append(parts, None, None)
    parts.service().publish_notifications(X)
    parts.tracker.replay(X, 0)

    parts.service().publish_notifications(X)

    assert [ids(span) for span in heard.spans] == [(1, 2, 2)] * 2


def test_without_an_sdk_nothing_comes_of_it_and_no_metadata_is_read() -> None:
    code = (
        "import json, sys\n"
        "from tests.relay.parts import Parts, X\n"
        "from tidings import NewEvent, Observers\n"
        "from tidings.plugins import Settings\n"
        "from tidings_opentelemetry import observer\n"
        "observer.links_to = None  # calling it would fail, and be logged\n"
        "parts = Parts()\n"
        "with parts.store.transaction() as transaction:\n"
        "    event = NewEvent('A', {}, metadata={'traceparent': 'x'})\n"
        "    parts.store.append(transaction, event)\n"
        "observers = Observers([observer.OpenTelemetryObserver(Settings())])\n"
        "print(parts.service(observers=observers).publish_notifications(X))\n"
        "assert 'opentelemetry.sdk' not in sys.modules\n"
    )

    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert (found.stdout, found.stderr) == ("1\n", "")
