"""tidings: carries domain events from your SQL database to a message broker, losing none.

What an application needs stands here, and is imported when it is first asked for. So ``import
tidings`` alone brings in no database, no broker and no configuration library. Authors of plugins
import from :mod:`tidings.plugins`, and test with :mod:`tidings.testing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tidings.version import __version__ as __version__

if TYPE_CHECKING:
    from tidings.bootstrap import Tidings
    from tidings.builtin.json_serializer import JsonSerializer
    from tidings.builtin.memory import (
        InMemoryBroker,
        InMemoryConsumer,
        InMemoryEventStore,
        InMemoryProducer,
        InMemoryTracker,
    )
    from tidings.errors import (
        BrokenPluginError,
        BrokerMismatchError,
        BrokerRefusedError,
        BrokerUnavailableError,
        ConfigurationError,
        DeliveryError,
        EventStoreError,
        ExchangeLockedError,
        ExchangePausedError,
        InvalidEventError,
        LeaseError,
        LeaseHeldError,
        LeaseLostError,
        MissingLibraryError,
        NotAcceptedError,
        NotYetStoredError,
        OutputClosedError,
        PluginError,
        PositionMismatchError,
        StoreNotReadyError,
        StoreUnavailableError,
        TidingsError,
        UndeliverableEventError,
        UnknownBackendError,
        UnreadableEventError,
        UnsafeStoreError,
    )
    from tidings.event import NewEvent, StoredEvent
    from tidings.interfaces import (
        Capability,
        EventStore,
        Hold,
        Journal,
        JournalEntry,
        Lease,
        MessageConsumer,
        MessageProducer,
        Notification,
        NotificationMessage,
        Observer,
        OpenExchange,
        Pause,
        Pauses,
        Position,
        PublishedMessageTracker,
        Quarantine,
        QuarantinedEvent,
        ReceivedMessage,
        Serializer,
        Stop,
        TrackedExchange,
        partition_of,
    )
    from tidings.relay.notification_service import NotificationService
    from tidings.relay.observers import Observers
    from tidings.relay.retention import Pruned, prune
    from tidings.relay.route import Route
    from tidings.relay.worker import Worker
    from tidings.sql import Inbox, record, record_from

_NAMES = {
    "tidings.builtin.json_serializer": ("JsonSerializer",),
    "tidings.builtin.memory": (
        "InMemoryBroker",
        "InMemoryEventStore",
        "InMemoryConsumer",
        "InMemoryProducer",
        "InMemoryTracker",
    ),
    "tidings.bootstrap": ("Tidings",),
    "tidings.errors": (
        "BrokenPluginError",
        "BrokerMismatchError",
        "BrokerRefusedError",
        "BrokerUnavailableError",
        "ConfigurationError",
        "DeliveryError",
        "EventStoreError",
        "ExchangeLockedError",
        "ExchangePausedError",
        "InvalidEventError",
        "LeaseError",
        "LeaseHeldError",
        "LeaseLostError",
        "MissingLibraryError",
        "NotAcceptedError",
        "NotYetStoredError",
        "OutputClosedError",
        "PluginError",
        "PositionMismatchError",
        "StoreNotReadyError",
        "StoreUnavailableError",
        "TidingsError",
        "UndeliverableEventError",
        "UnknownBackendError",
        "UnreadableEventError",
        "UnsafeStoreError",
    ),
    "tidings.event": ("NewEvent", "StoredEvent"),
    "tidings.interfaces": (
        "Capability",
        "EventStore",
        "Hold",
        "Journal",
        "JournalEntry",
        "Lease",
        "MessageConsumer",
        "MessageProducer",
        "Notification",
        "NotificationMessage",
        "Observer",
        "OpenExchange",
        "Pause",
        "Pauses",
        "Position",
        "PublishedMessageTracker",
        "Quarantine",
        "QuarantinedEvent",
        "ReceivedMessage",
        "Serializer",
        "Stop",
        "TrackedExchange",
        "partition_of",
    ),
    "tidings.relay.notification_service": ("NotificationService",),
    "tidings.relay.observers": ("Observers",),
    "tidings.relay.retention": ("Pruned", "prune"),
    "tidings.relay.route": ("Route",),
    "tidings.relay.worker": ("Worker",),
    "tidings.sql": ("Inbox", "record", "record_from"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "BrokenPluginError",
    "BrokerMismatchError",
    "BrokerRefusedError",
    "BrokerUnavailableError",
    "Capability",
    "ConfigurationError",
    "DeliveryError",
    "EventStore",
    "EventStoreError",
    "ExchangeLockedError",
    "ExchangePausedError",
    "Hold",
    "InMemoryBroker",
    "InMemoryConsumer",
    "InMemoryEventStore",
    "InMemoryProducer",
    "InMemoryTracker",
    "Inbox",
    "InvalidEventError",
    "Journal",
    "JournalEntry",
    "JsonSerializer",
    "Lease",
    "LeaseError",
    "LeaseHeldError",
    "LeaseLostError",
    "MessageConsumer",
    "MessageProducer",
    "MissingLibraryError",
    "NewEvent",
    "NotAcceptedError",
    "NotYetStoredError",
    "Notification",
    "NotificationMessage",
    "NotificationService",
    "Observer",
    "Observers",
    "OpenExchange",
    "OutputClosedError",
    "Pause",
    "Pauses",
    "PluginError",
    "Position",
    "PositionMismatchError",
    "Pruned",
    "PublishedMessageTracker",
    "Quarantine",
    "QuarantinedEvent",
    "ReceivedMessage",
    "Route",
    "Serializer",
    "Stop",
    "StoreNotReadyError",
    "StoreUnavailableError",
    "StoredEvent",
    "Tidings",
    "TidingsError",
    "TrackedExchange",
    "UndeliverableEventError",
    "UnknownBackendError",
    "UnreadableEventError",
    "UnsafeStoreError",
    "Worker",
    "partition_of",
    "prune",
    "record",
    "record_from",
]


if not TYPE_CHECKING:  # a type checker shall know a misspelt name

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
