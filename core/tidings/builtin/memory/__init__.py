"""An event store, a tracker and a broker in memory: for your own tests, with nothing to install.

They keep the promises of their interfaces, and pass the same contract suites as the real ones::

    store, tracker = InMemoryEventStore(), InMemoryPublishedMessageTracker()
    producer = InMemoryMessageProducer(broker := InMemoryBroker())
    ...
    assert [message.type_name for message in broker.messages("my-bc-app")] == ["OrderPlaced"]

What they hold is gone with the process.
"""

from tidings.builtin.memory.broker import InMemoryBroker
from tidings.builtin.memory.consumer import InMemoryMessageConsumer
from tidings.builtin.memory.event_store import InMemoryEventStore
from tidings.builtin.memory.producer import InMemoryMessageProducer
from tidings.builtin.memory.tracker import InMemoryPublishedMessageTracker

__all__ = [
    "InMemoryBroker",
    "InMemoryEventStore",
    "InMemoryMessageConsumer",
    "InMemoryMessageProducer",
    "InMemoryPublishedMessageTracker",
]
