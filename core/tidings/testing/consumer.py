"""The suite for consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.plugins.kinds import CONSUMER
from tidings.testing._consumer_apart import ConsumersApartPromises
from tidings.testing._consumer_crash import ConsumerCrashPromises
from tidings.testing._consumer_delivery import ConsumingPromises
from tidings.testing._consumer_failure import ConsumerFailurePromises
from tidings.testing._consumer_selection import SelectingPromises
from tidings.testing._consuming import DrivenConsumer, Publish, driven
from tidings.testing._plugin import missing
from tidings.testing._suite import BrokerSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidings.interfaces import Capability, MessageConsumer, Notification
    from tidings.testing._kit import StandInStore
    from tidings.testing._making import MakeConsumer


class MessageConsumerContract(
    ConsumingPromises,
    SelectingPromises,
    ConsumersApartPromises,
    ConsumerFailurePromises,
    ConsumerCrashPromises,
    BrokerSuite,
):
    """Checks every promise of ``MessageConsumer``.

    In a test module::

        class TestMyConsumer(MessageConsumerContract):
            plugin_module, backend = "tidings_mine.plugin", "mine"

            @pytest.fixture
            def server_address(self):                  # the suite puts a proxy before it
                return ("127.0.0.1", 5672)

            @pytest.fixture
            def make_consumer(self, server_address):
                def make(via=None):                    # via: connect here instead
                    host, port = via or server_address
                    return MyConsumer(MySettings(host=host, port=port), subscriber="app")
                return make

            @pytest.fixture
            def publish(self, server_address, context):
                def publish(exchange_name, notifications):
                    ...                                # with your producer, or the broker's client
                return publish

    Every consumer that ``make_consumer`` makes in one test is the same subscriber. A consumer has
    been open on the exchange before ``publish`` is called.

    Fixtures stand in the class, or in a base before this one: the suite's own hide those of the
    same name in ``conftest.py``.

    Declare what differs:

    - ``capabilities`` (none): what the consumers that ``make_consumer`` makes can do, as their own
      attribute says. With ``Capability.ROUTING``, ``publish`` sends each message's routing key.
      With ``Capability.PARTITIONS`` it opens the exchange with 4 partitions if messages have one.
    - ``has_link`` (true): there is a connection that can fail; wants ``server_address``. Its tests
      are skipped otherwise.
    - ``has_login`` (false): it has accounts; wants ``make_refused_consumer`` and ``secrets``.
    - ``has_subscribers`` (true): there can be more than one. Wants ``make_other_consumer``, which
      makes consumers of another subscriber.
    - ``largest_body`` (1 MiB): bytes of the largest body that the suite publishes.
    - ``no_progress_seconds`` (2): the time after which a silent broker is unavailable, that
      ``make_consumer`` gives its consumers if they have such a setting. Read it from ``self``: a
      test sets others.
    - ``patience`` (20): seconds within which a message that was published is received, on a loaded
      machine.
    - ``plugin_module`` and ``backend``: the module that the entry point names, and its name.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    patience: ClassVar[float] = 20.0
    no_progress_seconds: ClassVar[float] = 2.0
    has_login: ClassVar[bool] = False
    has_subscribers: ClassVar[bool] = True
    _kind = CONSUMER

    @pytest.fixture
    def make_consumer(self) -> MakeConsumer:
        """Supply this: a function that makes a consumer, ``make(via=None)``."""
        raise missing("make_consumer")

    @pytest.fixture
    def make_other_consumer(self) -> MakeConsumer:
        """Supply this if ``has_subscribers``: ``make_consumer`` of another subscriber."""
        raise missing(
            "make_other_consumer",
            "It makes consumers of another subscriber than make_consumer does. If there can be "
            "but one, declare has_subscribers = False.",
        )

    @pytest.fixture
    def make_refused_consumer(self) -> Callable[[], MessageConsumer]:
        """Supply this with ``has_login``: make a consumer whose login the broker refuses."""
        raise missing("make_refused_consumer", "has_login is declared, and needs it.")

    @pytest.fixture
    def publish(self) -> Publish:
        """Supply this: a function that publishes, ``publish(exchange_name, notifications)``."""
        raise missing("publish")

    @pytest.fixture
    def published(self, publish: Publish, event_store: StandInStore) -> Publish:
        """Return ``publish`` behind what stores the events."""

        def store_and_publish(exchange_name: str, notifications: Sequence[Notification]) -> None:
            event_store.add(exchange_name, notifications)
            publish(exchange_name, notifications)

        return store_and_publish

    @pytest.fixture
    def consumers(
        self, make_consumer: MakeConsumer, secrets: Sequence[str]
    ) -> Iterator[Callable[..., DrivenConsumer]]:
        """Give a function that makes driven consumers; closes them when the test ends."""
        with driven(make_consumer, self.patience, secrets) as make:
            yield make

    @pytest.fixture
    def refused_consumers(
        self, make_refused_consumer: Callable[[], MessageConsumer], secrets: Sequence[str]
    ) -> Iterator[Callable[..., DrivenConsumer]]:
        """Give a function that makes driven consumers whose login is refused."""
        with driven(lambda via=None: make_refused_consumer(), self.patience, secrets) as make:  # noqa: ARG005
            yield make

    @pytest.fixture
    def other_consumers(
        self, request: pytest.FixtureRequest, secrets: Sequence[str]
    ) -> Iterator[Callable[..., DrivenConsumer]]:
        """Give a function that makes driven consumers of another subscriber."""
        if not self.has_subscribers:
            pytest.skip("declared: has_subscribers = False")
        make_other_consumer = request.getfixturevalue("make_other_consumer")
        with driven(make_other_consumer, self.patience, secrets) as make:
            yield make
