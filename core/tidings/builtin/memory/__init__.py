"""An event store, a tracker and a broker in memory: for your own tests, with nothing to install.

They keep the promises of their interfaces, and pass the same contract suites as the real ones::

    store, tracker = InMemoryEventStore(), InMemoryTracker()
    producer = InMemoryProducer(broker := InMemoryBroker())
    ...
    assert [message.type_name for message in broker.messages("my-bc-app")] == ["OrderPlaced"]

What they hold is gone with the process.
"""

from tidings.builtin.memory.broker import InMemoryBroker
from tidings.builtin.memory.consumer import InMemoryConsumer
from tidings.builtin.memory.event_store import InMemoryEventStore
from tidings.builtin.memory.producer import InMemoryProducer
from tidings.builtin.memory.tracker import InMemoryTracker

__all__ = [
    "InMemoryBroker",
    "InMemoryConsumer",
    "InMemoryEventStore",
    "InMemoryProducer",
    "InMemoryTracker",
]
