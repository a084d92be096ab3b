"""Contract suites for authors of plugins: they check what the interfaces promise.

Subclass one in a test module, supply a fixture or two, and run pytest; the docstring of each class
shows how. A failing test says which sentence of the interface is broken, and by what.
"""

try:
    import pytest  # noqa: F401 - only to see whether it is there
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "tidings.testing needs pytest, which is not installed. Run: pip install pytest",
        name=error.name,
    ) from None

from tidings.testing import samples
from tidings.testing._consuming import Publish
from tidings.testing._making import (
    MakeConsumer,
    MakeProducer,
    MakeStore,
    MakeTracker,
)
from tidings.testing.consumer import MessageConsumerContract
from tidings.testing.event_store import EventStoreContract
from tidings.testing.producer import MessageProducerContract
from tidings.testing.proxy import Link, TcpProxy
from tidings.testing.serializer import SerializerContract
from tidings.testing.tracker import PublishedMessageTrackerContract
from tidings.testing.waiting import eventually

__all__ = [
    "EventStoreContract",
    "Link",
    "MakeConsumer",
    "MakeProducer",
    "MakeStore",
    "MakeTracker",
    "MessageConsumerContract",
    "MessageProducerContract",
    "Publish",
    "PublishedMessageTrackerContract",
    "SerializerContract",
    "TcpProxy",
    "eventually",
    "samples",
]
