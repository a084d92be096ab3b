"""An event store's life: made, shared, closed, waited on, cut off."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tidings.errors import (
    StoreNotReadyError,
)
from tidings.testing._judging import broken, check
from tidings.testing._kit import few
from tidings.testing._storing import (
    append,
    expect_ascending,
    expect_numbers,
    number_of,
    numbered,
    read_all,
)
from tidings.testing.promises import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import EventStore
    from tidings.testing._making import MakeStore


class UpkeepPromises:
    """What holds beside appending and reading."""

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
