"""The suite for consumers."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tidings.testing._consumer_delivery import ConsumerFailurePromises, ConsumingPromises
from tidings.testing._consuming import DrivenConsumer, MakeConsumer, Publish
from tidings.testing._kit import EventLog
from tidings.testing._plugin import PluginPromises, missing
from tidings.testing.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tidings.interfaces import Notification
    from tidings.plugins.specs import ProducerContext
    from tidings.testing.proxy import Link


class MessageConsumerContract(ConsumingPromises, ConsumerFailurePromises, PluginPromises):
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

    Every consumer that one test makes is the same subscriber. A consumer has been open on the
    exchange before ``publish`` is called.

    Fixtures stand in the class, or in a base before this one: the suite's own hide those of the
    same name in ``conftest.py``.

    Declare where it differs:

    - ``has_link`` (true): there is a connection that can fail; wants ``server_address``. Its tests
      are skipped otherwise.
    - ``patience`` (20): seconds within which a message that was published is received, on a loaded
      machine.
    - ``plugin_module`` and ``backend``: the module that the entry point names, and its name;
      ``hook`` is the hook that offers it.
    """

    has_link: ClassVar[bool] = True
    patience: ClassVar[float] = 20.0
    plugin_module: ClassVar[str] = ""
    backend: ClassVar[str] = ""
    hook: ClassVar[str] = "tidings_message_consumers"

    @pytest.fixture
    def make_consumer(self) -> MakeConsumer:
        """Supply this: a function that makes a consumer, ``make(via=None)``."""
        raise missing("make_consumer")

    @pytest.fixture
    def publish(self) -> Publish:
        """Supply this: a function that publishes, ``publish(exchange_name, notifications)``."""
        raise missing("publish")

    @pytest.fixture
    def server_address(self) -> tuple[str, int]:
        """Supply this where ``has_link``: host and port of the server."""
        raise missing(
            "server_address",
            "It gives (host, port). Where there is no connection that could fail, declare "
            "has_link = False.",
        )

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        """Supply the passwords and keys that no error and no ``repr`` may show."""
        return ()

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """Supply settings as the configuration would, where some are required."""
        return {}

    @pytest.fixture
    def exchange_name(self) -> str:
        """Return the name of an exchange that nobody used before."""
        return f"contract-{uuid.uuid4().hex[:12]}"

    @pytest.fixture
    def event_log(self) -> EventLog:
        """Return what stands in for the event store."""
        return EventLog()

    @pytest.fixture
    def context(self, event_log: EventLog) -> ProducerContext:
        """Return what a producer's factory is given; knows what the tests publish."""
        return event_log.context

    @pytest.fixture
    def published(self, publish: Publish, event_log: EventLog) -> Publish:
        """Return ``publish`` behind the event log."""

        def store_and_publish(exchange_name: str, notifications: Sequence[Notification]) -> None:
            event_log.add(exchange_name, notifications)
            publish(exchange_name, notifications)

        return store_and_publish

    @pytest.fixture
    def link(self, request: pytest.FixtureRequest) -> Iterator[Link]:
        """Give the proxy before the server; its ``address`` is what ``via`` will be."""
        if not self.has_link:
            pytest.skip("declared: has_link = False")
        with TcpProxy(*request.getfixturevalue("server_address")) as proxy:
            yield proxy

    @pytest.fixture
    def consumers(
        self, make_consumer: MakeConsumer, secrets: Sequence[str]
    ) -> Iterator[Callable[..., DrivenConsumer]]:
        """Give a function that makes driven consumers; closes them when the test ends."""
        made: list[DrivenConsumer] = []

        def make(via: tuple[str, int] | None = None) -> DrivenConsumer:
            made.append(DrivenConsumer(make_consumer, via, self.patience, secrets))
            return made[-1]

        yield make
        for each in made:
            each.end()
