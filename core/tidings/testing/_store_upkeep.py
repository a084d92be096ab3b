"""An event store's life: made, shared, closed, waited on, cut off."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tidings.errors import EventStoreError, StoreNotReadyError
from tidings.interfaces import Capability
from tidings.testing._judging import broken, check
from tidings.testing._kit import few
from tidings.testing._left_open import expect_nothing_open, files, threads
from tidings.testing._making import make_at
from tidings.testing._storing import (
    append,
    expect_ascending,
    expect_numbers,
    number_of,
    numbered,
    read_all,
)
from tidings.testing.promises import Store
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import EventStore
    from tidings.testing._making import MakeStore
    from tidings.testing.proxy import Link

_IDENTITIES: dict[type, dict[str, str]] = {}
"""Of each suite, what the stores of two tests said: each test has a database of its own."""


class UpkeepPromises:
    """What holds beside appending and reading."""

    capabilities: ClassVar[frozenset[Capability]]
    can_be_replaced: ClassVar[bool]
    has_link: ClassVar[bool]
    needs_create: ClassVar[bool]
    patience: ClassVar[float]

    def test_threads_append_each_in_its_own_transaction(self, store: EventStore) -> None:
        errors: list[BaseException] = []

        def write(first: int) -> None:
            try:
                for each in range(5):
                    append(store, numbered(first + each))
            except BaseException as error:  # noqa: BLE001 - shown below
                errors.append(error)

        threads = [threading.Thread(target=write, args=(each * 5,)) for each in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        check(not errors, Store.THREADS, f"8 threads appended, and {errors[:1]} was raised.")
        stored = read_all(store)
        expect_ascending(stored)
        numbers = sorted(number_of(event) for event in stored)
        check(
            numbers == list(range(40)),
            Store.THREADS,
            f"8 threads appended 5 events each; {len(numbers)} are stored: {few(numbers)}.",
        )

    def test_two_store_objects_share_the_events(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        other = new_store()
        append(store, numbered(0))
        append(other, numbered(1))
        expect_numbers([0, 1], read_all(store), Store.OBJECTS)
        expect_numbers([0, 1], read_all(other), Store.OBJECTS)
        other.close()
        append(store, numbered(2))
        expect_numbers([0, 1, 2], read_all(store), Store.OBJECTS)

    def test_create_again_keeps_what_is_there(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        append(store, numbered(0))
        store.create()
        other = new_store()
        other.create()
        expect_numbers([0], read_all(other), Store.CREATE)
        store.check()

    def test_the_identity_is_the_stores_and_stays(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        identity = store.identity()
        store.create()
        append(store, numbered(0))
        found = {identity, store.identity(), new_store().identity()}
        check(
            len(found) == 1 and identity.isascii() and len(identity) <= 100,  # noqa: PLR2004 - the promise's
            Store.IDENTITY,
            f"Asked before and after an append, and of two objects, identity() is {found}.",
        )

    @pytest.mark.parametrize("of", ["one database", "another one"])
    def test_every_store_has_an_identity_of_its_own(self, store: EventStore, of: str) -> None:
        known = _IDENTITIES.setdefault(type(self), {})
        known[of] = identity = store.identity()
        same = [each for each in known if each != of and known[each] == identity]
        check(
            not identity or not same,
            Store.IDENTITY,
            f"The stores of two databases both say identity() {identity!r}.",
        )

    def test_another_store_in_its_place_is_noticed(
        self, store: EventStore, new_store: MakeStore, request: pytest.FixtureRequest
    ) -> None:
        if not self.can_be_replaced:
            pytest.skip("declared: can_be_replaced = False")
        append(store, numbered(0), numbered(1))
        reader = new_store()
        reader.check()
        expect_numbers([0, 1], read_all(reader), Store.IN_ORDER)
        reader.watch()
        request.getfixturevalue("replace")()

        def noticed() -> bool:
            try:
                reader.watch()
            except EventStoreError:
                return True
            return False

        check(
            until(noticed, self.patience),
            Store.WATCH,
            f"The fixture `replace` was called, and {self.patience:g} s later watch() still raises "
            "no EventStoreError.",
        )

    def test_a_store_that_is_well_has_nothing_to_watch_for(self, store: EventStore) -> None:
        append(store, numbered(0))
        store.check()
        try:
            store.watch()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            broken(Store.WATCH, f"check() raised nothing, and then watch() raised {error!r}.")

    def test_a_closed_store_may_be_used_again(self, store: EventStore) -> None:
        append(store, numbered(0))
        store.close()
        store.close()
        append(store, numbered(1))
        expect_numbers([0, 1], read_all(store), Store.CLOSE)

    def test_close_leaves_nothing_open(
        self, store: EventStore, make_store: MakeStore, request: pytest.FixtureRequest
    ) -> None:
        store.close()
        link: Link | None = request.getfixturevalue("link") if self.has_link else None
        threads_before, files_before = threads(), files()
        closed = make_at(make_store, link.address if link else None)
        append(closed, numbered(0))
        expect_numbers([0], read_all(closed), Store.IN_ORDER)
        if Capability.WAKE_UP in self.capabilities:
            closed.wait(0.05)
        closed.check()
        closed.watch()
        closed.close()
        expect_nothing_open(
            Store.CLOSE, threads_before, files_before, link, seconds=min(self.patience, 5)
        )

    def test_without_its_tables_it_is_not_ready(self, new_store: MakeStore) -> None:
        if not self.needs_create:
            pytest.skip("declared: needs_create = False")
        store = new_store()
        calls: dict[str, Callable[[], Any]] = {
            "check()": store.check,
            "all_stored_events_since(0, 1)": lambda: store.all_stored_events_since(0, 1),
            "newest_event_id()": store.newest_event_id,
            "append()": lambda: append(store, numbered(0)),
        }
        for name, call in calls.items():
            try:
                call()
            except StoreNotReadyError:
                continue
            broken(Store.NOT_READY, f"create() was never called, and {name} raised nothing.")
        store.create()
        store.check()
        store.close()
