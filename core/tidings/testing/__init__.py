"""Contract suites for authors of plugins: they check what the interfaces promise.

Subclass one in a test module, supply a fixture or two, and run pytest; the docstring of each class
shows how. A failing test says which sentence of the interface is broken, and by what.
"""

try:
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "tidings.testing needs pytest, which is not installed. Run: pip install pytest",
        name=error.name,
    ) from None

pytest.register_assert_rewrite("tidings.testing.producer")

from tidings.testing._consuming import MakeConsumer, Publish  # noqa: E402 - after the registration
from tidings.testing._kit import MakeProducer  # noqa: E402
from tidings.testing.consumer import MessageConsumerContract  # noqa: E402
from tidings.testing.event_store import EventStoreContract, MakeStore  # noqa: E402
from tidings.testing.producer import MessageProducerContract  # noqa: E402
from tidings.testing.proxy import Link, TcpProxy  # noqa: E402
from tidings.testing.serializer import SerializerContract  # noqa: E402
from tidings.testing.tracker import MakeTracker, PublishedMessageTrackerContract  # noqa: E402

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
]
