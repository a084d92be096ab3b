"""Registers what tidings brings along, through the hooks that every plugin uses."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tidings.builtin.cloudevents import CloudEventsSerializer, CloudEventsSettings
from tidings.builtin.json_lines import JsonLinesProducer, JsonLinesSettings
from tidings.builtin.json_serializer import JsonSerializer, JsonSerializerSettings
from tidings.plugins.hookspecs import hookimpl
from tidings.plugins.specs import (
    Capability,
    EventStoreSpec,
    MessageConsumerSpec,
    MessageProducerSpec,
    ProducerContext,
    SerializerSpec,
    Settings,
    TrackerSpec,
)
from tidings.sql.settings import OutboxSettings, SqlAlchemySettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.builtin.memory import InMemoryBroker
    from tidings.interfaces import (
        EventStore,
        MessageConsumer,
        MessageProducer,
        PublishedMessageTracker,
    )


class MemorySettings(Settings):
    """The in-memory parts have nothing to set: there is one of each in a process."""


@hookimpl
def tidings_message_producers() -> Sequence[MessageProducerSpec]:
    """Offer JSON Lines, and lists in memory."""
    return [
        MessageProducerSpec(
            name="jsonlines",
            settings=JsonLinesSettings,
            factory=lambda settings, _context: JsonLinesProducer(settings),
            capabilities=_json_lines_capabilities,
        ),
        MessageProducerSpec(
            name="memory",
            settings=MemorySettings,
            factory=_memory_producer,
            capabilities=lambda _settings: frozenset(
                {
                    Capability.MOST_RECENT_ACCEPTED_ID,
                    Capability.LOCK,
                    Capability.UNROUTABLE,
                    Capability.OUT_OF_ORDER,
                }
            ),
        ),
    ]


@hookimpl
def tidings_message_consumers() -> Sequence[MessageConsumerSpec]:
    """Offer what reads the lists in memory."""
    return [MessageConsumerSpec(name="memory", settings=MemorySettings, factory=_memory_consumer)]


@hookimpl
def tidings_event_stores() -> Sequence[EventStoreSpec]:
    """Offer SQLAlchemy, an outbox there, and memory."""
    return [
        EventStoreSpec(
            name="sqlalchemy",
            settings=SqlAlchemySettings,
            factory=_sql_event_store,
            requires=("sqlalchemy",),
            install="tidings",
        ),
        EventStoreSpec(
            name="outbox",
            settings=OutboxSettings,
            factory=_outbox_event_store,
            tracker=_outbox_tracker,
            requires=("sqlalchemy",),
            install="tidings",
        ),
        EventStoreSpec(name="memory", settings=MemorySettings, factory=_memory_event_store),
    ]


@hookimpl
def tidings_trackers() -> Sequence[TrackerSpec]:
    """Offer SQLAlchemy, and memory."""
    return [
        TrackerSpec(
            name="sqlalchemy",
            settings=SqlAlchemySettings,
            factory=_sql_tracker,
            requires=("sqlalchemy",),
            install="tidings",
        ),
        TrackerSpec(name="memory", settings=MemorySettings, factory=_memory_tracker),
    ]


@hookimpl
def tidings_serializers() -> Sequence[SerializerSpec]:
    """Offer JSON, and CloudEvents."""
    return [
        SerializerSpec(
            name="json",
            settings=JsonSerializerSettings,
            factory=lambda _settings: JsonSerializer(),
        ),
        SerializerSpec(
            name="cloudevents", settings=CloudEventsSettings, factory=CloudEventsSerializer
        ),
    ]


def _json_lines_capabilities(settings: JsonLinesSettings) -> frozenset[Capability]:
    capabilities = {Capability.OUT_OF_ORDER}
    if settings.path is not None:
        capabilities |= {Capability.MOST_RECENT_ACCEPTED_ID, Capability.REMEMBERS_DURABLY}
    return frozenset(capabilities)


def _sql_event_store(settings: SqlAlchemySettings) -> EventStore:
    from tidings.sql.event_store import SqlAlchemyEventStore  # noqa: PLC0415 - SQLAlchemy is heavy

    return SqlAlchemyEventStore(settings)


def _outbox_event_store(settings: OutboxSettings) -> EventStore:
    from tidings.sql.outbox import outbox_event_store  # noqa: PLC0415 - SQLAlchemy is heavy

    return outbox_event_store(settings)


def _outbox_tracker(
    settings: OutboxSettings, tracker: PublishedMessageTracker
) -> PublishedMessageTracker:
    from tidings.sql.outbox import outbox_tracker  # noqa: PLC0415 - SQLAlchemy is heavy

    return outbox_tracker(settings, tracker)


def _sql_tracker(settings: SqlAlchemySettings) -> PublishedMessageTracker:
    from tidings.sql.tracker import (  # noqa: PLC0415 - SQLAlchemy is heavy
        SqlAlchemyPublishedMessageTracker,
    )

    return SqlAlchemyPublishedMessageTracker(settings)


@cache
def _memory_event_store(_settings: Any) -> EventStore:
    from tidings.builtin.memory import InMemoryEventStore  # noqa: PLC0415 - for those who ask

    return InMemoryEventStore()


@cache
def _memory_tracker(_settings: Any) -> PublishedMessageTracker:
    from tidings.builtin.memory import (  # noqa: PLC0415 - for those who ask
        InMemoryPublishedMessageTracker,
    )

    return InMemoryPublishedMessageTracker()


@cache
def _memory_broker() -> InMemoryBroker:
    from tidings.builtin.memory import InMemoryBroker  # noqa: PLC0415 - for those who ask

    return InMemoryBroker()


def _memory_producer(_settings: Any, _context: ProducerContext) -> MessageProducer:
    from tidings.builtin.memory import InMemoryMessageProducer  # noqa: PLC0415 - for those who ask

    return InMemoryMessageProducer(_memory_broker())


def _memory_consumer(_settings: Any, subscriber: str | None) -> MessageConsumer:
    from tidings.builtin.memory import InMemoryMessageConsumer  # noqa: PLC0415 - for those who ask

    return InMemoryMessageConsumer(_memory_broker(), subscriber or "app")
