"""Registers what tidings brings along, through the hooks that every plugin uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.builtin.cloudevents import CloudEventsSerializer, CloudEventsSettings
from tidings.builtin.json_lines import JsonLinesProducer, JsonLinesSettings
from tidings.builtin.json_serializer import JsonSerializer, JsonSerializerSettings
from tidings.plugins.hookspecs import hookimpl
from tidings.plugins.specs import (
    BackendSpec,
    EventStoreSpec,
    SerializerSpec,
    Settings,
    TrackerSpec,
)
from tidings.sql.settings import OutboxSettings, SqlAlchemySettings

if TYPE_CHECKING:
    from collections.abc import Sequence


_MEMORY = "tidings.builtin.memory.of_this_process"


class MemorySettings(Settings):
    """The in-memory parts have nothing to set: there is one of each in a process."""


@hookimpl
def tidings_backends() -> Sequence[BackendSpec]:
    """Offer JSON Lines, and lists in memory."""
    return [
        BackendSpec(name="jsonlines", settings=JsonLinesSettings, producer=JsonLinesProducer),
        BackendSpec(
            name="memory",
            settings=MemorySettings,
            producer=f"{_MEMORY}:producer",
            consumer=f"{_MEMORY}:consumer",
        ),
    ]


@hookimpl
def tidings_event_stores() -> Sequence[EventStoreSpec]:
    """Offer SQLAlchemy, an outbox there, and memory."""
    return [
        EventStoreSpec(
            name="sqlalchemy",
            settings=SqlAlchemySettings,
            factory="tidings.sql.event_store:SqlAlchemyEventStore",
            requires=("sqlalchemy",),
            install="tidings",
        ),
        EventStoreSpec(
            name="outbox",
            settings=OutboxSettings,
            factory="tidings.sql.outbox.source:outbox_event_store",
            tracker="tidings.sql.outbox.source:outbox_tracker",
            drains="tidings.sql.outbox.source:drained_table",
            requires=("sqlalchemy",),
            install="tidings",
        ),
        EventStoreSpec(name="memory", settings=MemorySettings, factory=f"{_MEMORY}:event_store"),
    ]


@hookimpl
def tidings_trackers() -> Sequence[TrackerSpec]:
    """Offer SQLAlchemy, and memory."""
    return [
        TrackerSpec(
            name="sqlalchemy",
            settings=SqlAlchemySettings,
            factory="tidings.sql.tracker:SqlAlchemyTracker",
            requires=("sqlalchemy",),
            install="tidings",
        ),
        TrackerSpec(name="memory", settings=MemorySettings, factory=f"{_MEMORY}:tracker"),
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
