"""What the parts of tidings promise each other. Imports nothing of the rest."""

from tidings.interfaces.event_store import EventStore, Hold
from tidings.interfaces.message_consumer import MessageConsumer, ReceivedMessage
from tidings.interfaces.message_producer import MessageProducer, Notification, NotificationMessage
from tidings.interfaces.observer import Observer
from tidings.interfaces.published_message_tracker import (
    Lease,
    Position,
    PublishedMessageTracker,
    Stop,
    TrackedExchange,
    fingerprint,
)
from tidings.interfaces.quarantine import Quarantine, QuarantinedEvent
from tidings.interfaces.serializer import Serializer

__all__ = [
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
    "Quarantine",
    "QuarantinedEvent",
    "ReceivedMessage",
    "Serializer",
    "Stop",
    "TrackedExchange",
    "fingerprint",
]
