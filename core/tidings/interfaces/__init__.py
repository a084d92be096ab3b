"""What the parts of tidings promise each other. Imports nothing of the rest."""

from tidings.interfaces.capability import Capability
from tidings.interfaces.event_store import EventStore, Hold, Waited
from tidings.interfaces.exchange_state import ExchangeState
from tidings.interfaces.failed_state import state_after
from tidings.interfaces.idle_relay import IdleRelay
from tidings.interfaces.journal import Journal, JournalEntry
from tidings.interfaces.lease import Lease, Position
from tidings.interfaces.message_consumer import MessageConsumer, Opening, ReceivedMessage
from tidings.interfaces.message_producer import MessageProducer
from tidings.interfaces.notification import Accepted, Notification, NotificationMessage
from tidings.interfaces.observed_relay import Exposition, ObservedRelay, Standing
from tidings.interfaces.observer import AcceptedBatch, Observer
from tidings.interfaces.open_exchange import ExchangeContext, OpenExchange
from tidings.interfaces.partition import partition_of
from tidings.interfaces.pause import Pause, Pauses
from tidings.interfaces.published_message_tracker import (
    PublishedMessageTracker,
    Stop,
    TrackedExchange,
    fingerprint,
    fingerprint_of,
)
from tidings.interfaces.quarantine import Quarantine, QuarantinedEvent
from tidings.interfaces.serializer import Serializer

__all__ = [
    "Accepted",
    "AcceptedBatch",
    "Capability",
    "EventStore",
    "ExchangeContext",
    "ExchangeState",
    "Exposition",
    "Hold",
    "IdleRelay",
    "Journal",
    "JournalEntry",
    "Lease",
    "MessageConsumer",
    "MessageProducer",
    "Notification",
    "NotificationMessage",
    "ObservedRelay",
    "Observer",
    "OpenExchange",
    "Opening",
    "Pause",
    "Pauses",
    "Position",
    "PublishedMessageTracker",
    "Quarantine",
    "QuarantinedEvent",
    "ReceivedMessage",
    "Serializer",
    "Standing",
    "Stop",
    "TrackedExchange",
    "Waited",
    "fingerprint",
    "fingerprint_of",
    "partition_of",
    "state_after",
]
