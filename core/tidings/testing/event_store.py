"""The suite for event stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pytest

from tidings.testing._plugin import PluginPromises, missing
from tidings.testing._store_events import EventPromises
from tidings.testing._store_order import OrderPromises
from tidings.testing.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidings.interfaces import EventStore
    from tidings.testing.proxy import Link


class MakeStore(Protocol):
    """Makes a store object on the test's database; ``via`` is where to connect instead."""

    def __call__(self, via: tuple[str, int] | None = ...) -> EventStore:
        """Make it."""


class EventStoreContract(EventPromises, OrderPromises, PluginPromises):
    """Checks every promise of ``EventStore``.

    In a test module::

        class TestMyEventStore(EventStoreContract):
            concurrent_appends = True
            plugin_module, backend = "tidings_mine.plugin", "mine"

            @pytest.fixture
            def server_address(self):                  # the suite puts a proxy before it
                return ("127.0.0.1", 5432)

            @pytest.fixture
            def make_store(self, server_address):
                database = new_empty_database()        # one for each test, without tables
                def make(via=None):                    # every call: a store object on it
                    host, port = via or server_address
                    return MyEventStore(MySettings(host=host, port=port, database=database))
                return make

    Fixtures stand in the class, or in a base before this one: the suite's own hide those of the
    same name in ``conftest.py``.

    Declare where it differs; tests of what a store hasn't got are skipped:

    - ``concurrent_appends`` (true): two transactions may both have appended before either ends;
      false where the second append (or already its ``transaction()``) waits for the first to end.
    - ``needs_create`` (true): the store is unusable before ``create``.
    - ``has_link`` (true): there is a connection that can fail; wants ``server_address``.
    - ``patience`` (30): seconds after which what should have happened by then has failed, on a
      loaded machine.
    - ``plugin_module`` and ``backend``: the module that the entry point names, and its name;
      ``hook`` is the hook that offers it.
    """

    concurrent_appends: ClassVar[bool] = True
    needs_create: ClassVar[bool] = True
    patience: ClassVar[float] = 30.0
    has_link: ClassVar[bool] = True
    plugin_module: ClassVar[str] = ""
    backend: ClassVar[str] = ""
    hook: ClassVar[str] = "tidings_event_stores"

    @pytest.fixture
    def make_store(self) -> MakeStore:
        """Supply this: a function that makes a store object, ``make(via=None)``."""
        raise missing("make_store")

    @pytest.fixture
    def server_address(self) -> tuple[str, int]:
        """Supply this where ``has_link``: host and port of the database server."""
        raise missing(
            "server_address",
            "It gives (host, port). Where there is no connection that could fail, declare "
            "has_link = False.",
        )

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        """Supply the passwords that no error and no ``repr`` may show."""
        return ()

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """Supply settings as the configuration would, where some are required."""
        return {}

    @pytest.fixture
    def new_store(self, make_store: MakeStore) -> Iterator[MakeStore]:
        """Give ``make_store``, and close what it made when the test ends."""
        made: list[EventStore] = []

        def make(via: tuple[str, int] | None = None) -> EventStore:
            made.append(make_store() if via is None else make_store(via=via))
            return made[-1]

        yield make
        for each in made:
            each.close()

    @pytest.fixture
    def store(self, new_store: MakeStore) -> EventStore:
        """Give a store whose tables are there, and empty."""
        store = new_store()
        store.create()
        return store

    @pytest.fixture
    def link(self, request: pytest.FixtureRequest) -> Iterator[Link]:
        """Give the proxy before the server; its ``address`` is what ``via`` will be."""
        if not self.has_link:
            pytest.skip("declared: has_link = False")
        with TcpProxy(*request.getfixturevalue("server_address")) as proxy:
            yield proxy
