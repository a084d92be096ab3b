"""The suite for producers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tidings.plugins.kinds import PRODUCER
from tidings.testing._kit import Kit, StandInStore
from tidings.testing._plugin import missing
from tidings.testing._producer_apart import ApartPromises
from tidings.testing._producer_bounds import BoundsPromises
from tidings.testing._producer_capability import CapabilityPromises
from tidings.testing._producer_delivery import DeliveryPromises
from tidings.testing._producer_failure import FailurePromises
from tidings.testing._producer_manners import MannersPromises
from tidings.testing._producer_memory import MemoryPromises
from tidings.testing._suite import BrokerSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidings.interfaces import Capability, MessageProducer, Notification, ReceivedMessage
    from tidings.testing._making import MakeProducer


class MessageProducerContract(
    DeliveryPromises,
    ApartPromises,
    FailurePromises,
    BoundsPromises,
    CapabilityPromises,
    MemoryPromises,
    MannersPromises,
    BrokerSuite,
):
    """Checks every promise of ``MessageProducer`` and of the ``OpenExchange`` that it opens.

    In a test module::

        class TestMyProducer(MessageProducerContract):
            capabilities = frozenset({Capability.UNROUTABLE})
            plugin_module, backend = "tidings_mine.plugin", "mine"

            @pytest.fixture
            def server_address(self):                  # the suite puts a proxy before it
                return ("127.0.0.1", 5672)

            @pytest.fixture
            def make_producer(self, server_address, context):
                def make(via=None):                    # via: connect here instead
                    host, port = via or server_address
                    seconds = self.no_progress_seconds
                    return MyProducer(MySettings(host=host, port=port, timeout=seconds), context)
                return make

            @pytest.fixture
            def read_back(self, server_address):       # not through your own code
                def read(exchange_name, count):
                    ...                                # a list of up to `count` ReceivedMessage
                return read

    ``read_back`` reads what the broker holds, with the broker's own client. It returns the next
    messages that it has not returned yet, in the broker's order. It returns as soon as there are
    ``count`` of them, or after some 10 seconds with those that came. It never goes through the
    proxy.

    A subscriber must exist for every exchange before the first message is sent to it. If
    ``open_exchange`` makes no queue for one, override ``subscribe``, a function that is given the
    name of each fresh exchange. Otherwise messages of the first tests go nowhere.

    Fixtures stand in the class, or in a base before this one: the suite's own hide those of the
    same name in ``conftest.py``.

    What the broker has is declared by these; tests of what it hasn't are skipped:

    - ``capabilities`` (none): what the producers that ``make_producer`` makes can do, as their own
      attribute says. ``Capability.UNROUTABLE`` wants the fixture ``unbind``; with
      ``Capability.ROUTING``, ``read_back`` gives each message's ``routing_key``. With
      ``Capability.PARTITIONS`` it reads every partition, and gives each message's ``partition``.
    - ``has_link`` (true): there is a connection that can fail; wants ``server_address``.
    - ``has_broker`` (true): there is a broker that may be away; false if subscribers connect to the
      producer itself.
    - ``has_login`` (false): it has accounts; wants ``make_refused_producer`` and ``secrets``.
    - ``has_undeliverable`` (false): some event can never be sent; wants ``undeliverable``.
    - ``can_reject`` (false): it can give a *message* back to a connection that may publish (a nack,
      a full queue: ``NotAcceptedError``); wants ``reject``. A missing permission is not this, but
      ``BrokerRefusedError``.
    - ``binary_bodies`` (true): bodies that are not UTF-8 text can be sent.
    - ``plugin_module`` and ``backend``: the module that the entry point names, and its name.

    How long and how much:

    - ``no_progress_seconds`` (2): what ``make_producer`` gives its producers as their no-progress
      time. Read it from ``self``: a test sets a longer one.
    - ``grace`` (10): seconds that a loaded machine may take beyond what a call should.
    - ``many`` (1,000): how many messages the test of completeness sends.
    - ``largest_body`` (1 MiB): bytes of the largest body that the suite sends.
    - ``frozen_sends`` (20,000): how many messages of 1 kB must be more than the window takes while
      the broker is silent.
    - ``frozen_bytes`` (64 MiB): how many bytes of large messages must be more than the window takes
      then. ``None`` if the producer keeps no bytes of its own.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    has_broker: ClassVar[bool] = True
    has_login: ClassVar[bool] = False
    has_undeliverable: ClassVar[bool] = False
    can_reject: ClassVar[bool] = False
    binary_bodies: ClassVar[bool] = True
    _kind = PRODUCER
    no_progress_seconds: ClassVar[float] = 2.0
    grace: ClassVar[float] = 10.0
    many: ClassVar[int] = 1000
    frozen_sends: ClassVar[int] = 20_000
    frozen_bytes: ClassVar[int | None] = 64 * 1024 * 1024

    @pytest.fixture
    def make_producer(self) -> MakeProducer:
        """Supply this: a function that makes a producer, ``make(via=None)``."""
        raise missing("make_producer")

    @pytest.fixture
    def read_back(self) -> Callable[[str, int], Sequence[ReceivedMessage]]:
        """Supply this: a function that reads the broker, ``read(exchange_name, count)``."""
        raise missing("read_back")

    @pytest.fixture
    def unbind(self) -> Callable[[str], None]:
        """Supply this with ``Capability.UNROUTABLE``: take all queues off the exchange."""
        return _not_supplied("unbind", "Capability.UNROUTABLE")

    @pytest.fixture
    def reject(self) -> Callable[[str], None]:
        """Supply this with ``can_reject``: let the broker accept nothing more on the exchange."""
        return _not_supplied("reject", "can_reject")

    @pytest.fixture
    def make_refused_producer(self) -> Callable[[], MessageProducer]:
        """Supply this with ``has_login``: make a producer whose login the broker refuses."""
        return _not_supplied("make_refused_producer", "has_login")

    @pytest.fixture
    def undeliverable(self) -> Notification | None:
        """Supply this with ``has_undeliverable``: a notification that can never be sent."""
        return None

    @pytest.fixture
    def kit(
        self,
        make_producer: MakeProducer,
        read_back: Callable[[str, int], Sequence[ReceivedMessage]],
        event_store: StandInStore,
        secrets: Sequence[str],
    ) -> Iterator[Kit]:
        """Give what the tests work with."""
        kit = Kit(
            make_producer,
            read_back,
            event_store,
            capabilities=self.capabilities,
            patience=2 * self.no_progress_seconds + self.grace,
            secrets=secrets,
        )
        yield kit
        kit.end()


def _not_supplied(fixture: str, declared: str) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise missing(fixture, f"{declared} is declared, and needs it.")

    return fail
