"""The suite for event stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.plugins.kinds import EVENT_STORE
from tidings.testing._making import MakeStore, closed_at_the_end
from tidings.testing._plugin import missing
from tidings.testing._store_away import StoreAwayPromises
from tidings.testing._store_capability import StoreCapabilityPromises
from tidings.testing._store_events import EventPromises
from tidings.testing._store_order import OrderPromises
from tidings.testing._store_upkeep import UpkeepPromises
from tidings.testing._suite import ServerSuite
from tidings.testing.samples import LARGEST_BODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.interfaces import Capability, EventStore


class EventStoreContract(
    EventPromises,
    OrderPromises,
    UpkeepPromises,
    StoreAwayPromises,
    StoreCapabilityPromises,
    ServerSuite,
):
    """Checks every promise of ``EventStore``, and of what the store can do beyond it.

    In a test module::

        class TestMyEventStore(EventStoreContract):
            capabilities = frozenset({Capability.PRUNE})
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

    Declare what differs; tests of what a store hasn't got are skipped:

    - ``capabilities`` (none): what the stores that ``make_store`` makes can do, as their own
      attribute says.
    - ``concurrent_appends`` (true): two transactions may both have appended before either ends.
      False if the second append (or already its ``transaction()``) waits for the first to end.
    - ``ids_at_commit`` (false): ids are drawn as a transaction commits, one transaction after
      another, so that no gap is ever seen (Redis, a commit log). Then ``concurrent_appends`` says
      nothing.
    - ``largest_body`` (1 MiB): bytes of the largest event that the suite stores.
    - ``can_be_spoiled`` (true): somebody else may write there what cannot be read as an event.
      Wants a fixture ``spoil``, a function that does so to the event of an id.
    - ``can_be_replaced`` (true): ``watch`` notices if another store, or an older state of it, is
      suddenly where it was. Wants a fixture ``replace``, a function that brings this about.
    - ``needs_create`` (true): the store is unusable before ``create``.
    - ``has_link`` (true): there is a connection that can fail; wants ``server_address``.
    - ``patience`` (30): seconds after which what should have happened by then has failed, on a
      loaded machine.
    - ``plugin_module`` and ``backend``: the module that the entry point names, and its name.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    concurrent_appends: ClassVar[bool] = True
    ids_at_commit: ClassVar[bool] = False
    largest_body: ClassVar[int] = LARGEST_BODY
    can_be_spoiled: ClassVar[bool] = True
    can_be_replaced: ClassVar[bool] = True
    needs_create: ClassVar[bool] = True
    patience: ClassVar[float] = 30.0
    _kind = EVENT_STORE

    @pytest.fixture
    def make_store(self) -> MakeStore:
        """Supply this: a function that makes a store object, ``make(via=None)``."""
        raise missing("make_store")

    @pytest.fixture
    def spoil(self) -> Callable[[int], None]:
        """Supply this if ``can_be_spoiled``: a function that makes an event unreadable."""
        raise missing(
            "spoil",
            "It takes an event's id. If nobody else writes to the store, declare "
            "can_be_spoiled = False.",
        )

    @pytest.fixture
    def replace(self) -> Callable[[], None]:
        """Supply this if ``can_be_replaced``: a function that puts another store in its place."""
        raise missing(
            "replace",
            "It deletes what the store has and makes it anew, or takes its newest events away. If "
            "watch() can notice neither, declare can_be_replaced = False.",
        )

    @pytest.fixture
    def new_store(self, make_store: MakeStore) -> Iterator[MakeStore]:
        """Give ``make_store``, and close what it made when the test ends."""
        with closed_at_the_end(make_store) as new_store:
            yield new_store

    @pytest.fixture
    def store(self, new_store: MakeStore) -> EventStore:
        """Give a store whose tables are there, and empty."""
        store = new_store()
        store.create()
        return store
