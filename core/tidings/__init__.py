"""tidings: carries domain events from your SQL database to a message broker, losing none.

What an application needs stands here, and is imported when it is first asked for: ``import
tidings`` alone brings in no database, no broker and no configuration library. Authors of plugins
import from :mod:`tidings.plugins`, and test with :mod:`tidings.testing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidings.bootstrap import Tidings
    from tidings.builtin.memory import (
        InMemoryBroker,
        InMemoryEventStore,
        InMemoryMessageConsumer,
        InMemoryMessageProducer,
        InMemoryPublishedMessageTracker,
    )
    from tidings.errors import (
        BrokenPluginError,
        BrokerRefusedError,
        BrokerUnavailableError,
        ConfigurationError,
        DeliveryError,
        EventStoreError,
        ExchangeLockedError,
        InvalidEventError,
        LeaseError,
        LeaseHeldError,
        LeaseLostError,
        MissingLibraryError,
        NotAcceptedError,
        PluginError,
        PositionMismatchError,
        StoreNotReadyError,
        StoreUnavailableError,
        TidingsError,
        UndeliverableEventError,
        UnknownBackendError,
        UnsafeStoreError,
    )
    from tidings.event import NewEvent, StoredEvent
    from tidings.interfaces import (
        EventStore,
        Hold,
        Lease,
        MessageConsumer,
        MessageProducer,
        Notification,
        NotificationMessage,
        Observer,
        Position,
        PublishedMessageTracker,
        ReceivedMessage,
        Serializer,
        TrackedExchange,
    )
    from tidings.relay.notification_service import NotificationService
    from tidings.relay.worker import Worker
    from tidings.sql import Inbox, record, record_from

__version__ = "0.1.0"

_NAMES = {
    "tidings.builtin.memory": (
        "InMemoryBroker",
        "InMemoryEventStore",
        "InMemoryMessageConsumer",
        "InMemoryMessageProducer",
        "InMemoryPublishedMessageTracker",
    ),
    "tidings.bootstrap": ("Tidings",),
    "tidings.errors": (
        "BrokenPluginError",
        "BrokerRefusedError",
        "BrokerUnavailableError",
        "ConfigurationError",
        "DeliveryError",
        "EventStoreError",
        "ExchangeLockedError",
        "InvalidEventError",
        "LeaseError",
        "LeaseHeldError",
        "LeaseLostError",
        "MissingLibraryError",
        "NotAcceptedError",
        "PluginError",
        "PositionMismatchError",
        "StoreNotReadyError",
        "StoreUnavailableError",
        "TidingsError",
        "UndeliverableEventError",
        "UnknownBackendError",
        "UnsafeStoreError",
    ),
    "tidings.event": ("NewEvent", "StoredEvent"),
    "tidings.interfaces": (
        "EventStore",
        "Hold",
        "Lease",
        "MessageConsumer",
        "MessageProducer",
        "Notification",
        "NotificationMessage",
        "Observer",
        "Position",
        "PublishedMessageTracker",
        "ReceivedMessage",
        "Serializer",
        "TrackedExchange",
    ),
    "tidings.relay.notification_service": ("NotificationService",),
    "tidings.relay.worker": ("Worker",),
    "tidings.sql": ("Inbox", "record", "record_from"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "BrokenPluginError",
    "BrokerRefusedError",
    "BrokerUnavailableError",
    "ConfigurationError",
    "DeliveryError",
    "EventStore",
    "EventStoreError",
    "ExchangeLockedError",
    "Hold",
    "InMemoryBroker",
    "InMemoryEventStore",
    "InMemoryMessageConsumer",
    "InMemoryMessageProducer",
    "InMemoryPublishedMessageTracker",
    "Inbox",
    "InvalidEventError",
    "Lease",
    "LeaseError",
    "LeaseHeldError",
    "LeaseLostError",
    "MessageConsumer",
    "MessageProducer",
    "MissingLibraryError",
    "NewEvent",
    "NotAcceptedError",
    "Notification",
    "NotificationMessage",
    "NotificationService",
    "Observer",
    "PluginError",
    "Position",
    "PositionMismatchError",
    "PublishedMessageTracker",
    "ReceivedMessage",
    "Serializer",
    "StoreNotReadyError",
    "StoreUnavailableError",
    "StoredEvent",
    "Tidings",
    "TidingsError",
    "TrackedExchange",
    "UndeliverableEventError",
    "UnknownBackendError",
    "UnsafeStoreError",
    "Worker",
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
