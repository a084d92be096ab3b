"""What the suites have in common beside the plugin's promises: the way to a server, exchanges."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.testing._kit import StandInStore
from tidings.testing._plugin import PluginPromises, missing
from tidings.testing.proxy import TcpProxy
from tidings.testing.samples import LARGEST_BODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.plugins.specs import ProducerContext
    from tidings.testing.proxy import Link


class ServerSuite(PluginPromises):
    """The base of a suite for what connects to a server."""

    has_link: ClassVar[bool] = True

    @pytest.fixture
    def server_address(self) -> tuple[str, int]:
        """Supply this if ``has_link``: host and port of the server."""
        raise missing(
            "server_address",
            "It gives (host, port). If there is no connection that could fail, declare "
            "has_link = False.",
        )

    @pytest.fixture
    def link(self, request: pytest.FixtureRequest) -> Iterator[Link]:
        """Give the proxy before the server; its ``address`` is what ``via`` will be."""
        if not self.has_link:
            pytest.skip("declared: has_link = False")
        with TcpProxy(*request.getfixturevalue("server_address")) as proxy:
            yield proxy


class BrokerSuite(ServerSuite):
    """The base of a suite for what connects to a broker."""

    largest_body: ClassVar[int] = LARGEST_BODY

    @pytest.fixture
    def subscribe(self) -> Callable[[str], None]:
        """Supply this if opening an exchange makes no queue: a function that subscribes to it."""
        return lambda _exchange_name: None

    @pytest.fixture
    def new_exchange(self, subscribe: Callable[[str], None]) -> Callable[[], str]:
        """Return a function that gives the name of an exchange that nobody used before."""

        def new() -> str:
            name = f"contract-{uuid.uuid4().hex[:12]}"
            subscribe(name)
            return name

        return new

    @pytest.fixture
    def exchange_name(self, new_exchange: Callable[[], str]) -> str:
        """Return the name of an exchange that nobody used before."""
        return new_exchange()

    @pytest.fixture
    def event_store(self) -> StandInStore:
        """Return what stands in for the event store."""
        return StandInStore()

    @pytest.fixture
    def context(self, event_store: StandInStore) -> ProducerContext:
        """Return what a producer's factory is given; knows what the tests send."""
        return event_store.context
