"""Hears what the relay does, and tells OpenTelemetry of each batch."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeAlias

from opentelemetry import metrics, trace
from opentelemetry.trace import ProxyTracerProvider, SpanKind, Status, StatusCode
from typing_extensions import override

from tidings.plugins import Observer
from tidings_opentelemetry.batches_in_flight import BatchesInFlight, SentBatch
from tidings_opentelemetry.recording import links_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opentelemetry.util.types import AttributeValue

    from tidings.plugins import AcceptedBatch, Lease, ObservedRelay, Settings, StoredEvent

Attributes: TypeAlias = "dict[str, AttributeValue]"

_SYSTEMS = {"rabbitmq-stream": "rabbitmq", "zeromq-pub": "zeromq"}
_UNKNOWN = "_OTHER"
"""The conventions' word for an error whose kind is not known."""


class OpenTelemetryObserver(Observer):
    """Makes a span of each batch, with links to where its events were recorded, and counts.

    Through the API alone. What becomes of it is the business of the SDK that the process has set
    up, and without one it is nothing.
    """

    def __init__(self, _settings: Settings) -> None:
        scope = "tidings", version("tidings")
        self._tracer = trace.get_tracer(*scope)
        meter = metrics.get_meter(*scope)
        self._messages = meter.create_counter(
            "messaging.client.sent.messages",
            unit="{message}",
            description="Number of messages producer attempted to send to the broker.",
        )
        self._duration = meter.create_histogram(
            "messaging.client.operation.duration",
            unit="s",
            description="Duration of messaging operation initiated by a client.",
        )
        self._producers: Mapping[str, str] = {}
        self._in_flight: dict[str, BatchesInFlight] = {}
        self._carried: set[str] = set()

    @override
    def attached(self, relay: ObservedRelay) -> None:
        """Remember which backend carries what."""
        self._producers = relay.producers

    @override
    def started(self, exchange_name: str) -> None:
        """Remember that a worker carries it: of a failure it tells with :meth:`failed`."""
        self._carried.add(exchange_name)

    @override
    def ended(self, exchange_name: str, error: Exception | None) -> None:
        """Tell of what was left in flight."""
        self._carried.discard(exchange_name)
        self._give_up(exchange_name, _UNKNOWN if error is None else type(error).__name__)

    @override
    def lease_taken(self, exchange_name: str, lease: Lease) -> None:
        """Tell of what the last run left in flight."""
        self._give_up(exchange_name, _UNKNOWN)

    @override
    def lease_released(self, exchange_name: str) -> None:
        """Tell of what a service leaves in flight: it tells of no failure."""
        if exchange_name not in self._carried:
            self._give_up(exchange_name, _UNKNOWN)

    @override
    def sent(self, exchange_name: str, events: Sequence[StoredEvent]) -> None:
        """Note a batch, and what its span is linked to."""
        in_flight = self._of(exchange_name)
        in_flight.cut(events[0].event_id)
        traced = not isinstance(trace.get_tracer_provider(), ProxyTracerProvider)
        links = links_to(events) if traced else ()
        in_flight.add(SentBatch([event.event_id for event in events], time.time_ns(), links))

    @override
    def accepted(self, exchange_name: str, batch: AcceptedBatch) -> None:
        """Tell of the batches that are accepted as a whole."""
        in_flight = self._of(exchange_name)
        in_flight.accepted(batch.last_event_id)
        self._tell(exchange_name, in_flight.take_accepted())

    @override
    def quarantined(self, exchange_name: str, event_id: int, reason: str) -> None:
        """Forget the event, and what the producer did not take behind it."""
        in_flight = self._of(exchange_name)
        in_flight.cut(event_id)
        self._tell(exchange_name, in_flight.take_accepted())

    @override
    def failed(self, exchange_name: str, error: Exception, retry_in: float) -> None:
        """Tell of what was in flight."""
        self._give_up(exchange_name, type(error).__name__)

    def _of(self, exchange_name: str) -> BatchesInFlight:
        return self._in_flight.setdefault(exchange_name, BatchesInFlight())

    def _give_up(self, exchange_name: str, error_type: str) -> None:
        self._tell(exchange_name, self._of(exchange_name).take_all(), error_type)

    def _tell(
        self, exchange_name: str, batches: Iterable[SentBatch], error_type: str | None = None
    ) -> None:
        now = time.time_ns()
        for batch in batches:
            attributes = self._attributes(exchange_name, error_type)
            self._messages.add(len(batch.ids), attributes)
            self._duration.record(max(now - batch.began, 0) / 1e9, attributes)
            self._make_span(exchange_name, batch, now, attributes)

    def _make_span(
        self, exchange_name: str, batch: SentBatch, now: int, attributes: Attributes
    ) -> None:
        span = self._tracer.start_span(
            f"publish {exchange_name}",
            # The conventions': whoever recorded the event is its producer then.
            kind=SpanKind.CLIENT if batch.links else SpanKind.PRODUCER,
            links=batch.links,
            start_time=batch.began,
            attributes={
                **attributes,
                "messaging.operation.type": "send",
                "messaging.batch.message_count": len(batch.ids),
                "tidings.first_event_id": batch.ids[0],
                "tidings.last_event_id": batch.ids[-1],
            },
        )
        if "error.type" in attributes:
            span.set_status(Status(StatusCode.ERROR))
        span.end(now)

    def _attributes(self, exchange_name: str, error_type: str | None) -> Attributes:
        backend = self._producers.get(exchange_name, _UNKNOWN)
        attributes: Attributes = {
            "messaging.system": _SYSTEMS.get(backend, backend),
            "messaging.operation.name": "publish",
            "messaging.destination.name": exchange_name,
        }
        if error_type is not None:
            attributes["error.type"] = error_type
        return attributes
