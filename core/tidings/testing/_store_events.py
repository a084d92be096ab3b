"""An event store with one writer: what goes in comes out."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tidings.errors import InvalidEventError, StoreNotReadyError, StoreUnavailableError
from tidings.event import MAX_EVENT_ID, NewEvent
from tidings.testing import _samples as samples
from tidings.testing._kit import few, short, until
from tidings.testing._storing import (
    append,
    expect_ascending,
    expect_numbers,
    expect_same,
    number_of,
    numbered,
    read_all,
    roll_back,
)
from tidings.testing.promises import Producer, Store, broken, check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces import EventStore
    from tidings.testing.event_store import MakeStore
    from tidings.testing.proxy import Link


class EventPromises:
    """What holds for one transaction after another."""

    needs_create: ClassVar[bool]
    patience: ClassVar[float]

    def test_an_empty_store_says_so(self, store: EventStore) -> None:
        found = list(store.all_stored_events_since(0, 10))
        check(found == [], Store.SINCE, f"A new store gives {found}.")
        newest = store.newest_event_id()
        check(newest is None, Store.NEWEST, f"A new store's newest_event_id() is {newest!r}.")
        count = store.count_stored_events_since(0)
        check(count == 0, Store.COUNT, f"A new store counts {count} events.")
        check(store.stored_event(1) is None, Store.STORED_EVENT, "A new store has an event 1.")
        check(store.hold() is None, Store.HOLD, f"A new store's hold() is {store.hold()}.")

    @pytest.mark.parametrize("name", samples.EVENTS)
    def test_an_event_comes_back_as_it_was_stored(self, store: EventStore, name: str) -> None:
        event = samples.EVENTS[name]
        append(store, event)
        (stored,) = read_all(store)
        expect_same(event, stored)
        again = store.stored_event(stored.event_id)
        check(
            again == stored,
            Store.STORED_EVENT,
            f"stored_event() gives {short(again)}, all_stored_events_since() {short(stored)}.",
        )

    def test_events_of_one_append_keep_their_order(self, store: EventStore) -> None:
        append(store, *(numbered(each) for each in range(50)))
        append(store, *(numbered(each) for each in range(50, 53)))
        expect_numbers(range(53), read_all(store), Store.IN_ORDER)

    def test_several_appends_in_one_transaction_keep_their_order(self, store: EventStore) -> None:
        with store.transaction() as transaction:
            for each in range(10):
                store.append(transaction, numbered(each))
        expect_numbers(range(10), read_all(store), Store.IN_ORDER)

    def test_appending_nothing_stores_nothing(self, store: EventStore) -> None:
        append(store)
        expect_numbers([], read_all(store), Store.IN_ORDER)

    def test_what_is_rolled_back_was_never_stored(self, store: EventStore) -> None:
        append(store, numbered(0))
        roll_back(store, numbered(99), numbered(98))
        append(store, numbered(1))
        expect_numbers([0, 1], read_all(store), Store.TRANSACTION)
        check(store.hold() is None, Store.HOLD, f"Nothing is open, and hold() is {store.hold()}.")

    def test_what_is_not_committed_is_not_seen(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        reader = new_store()
        with store.transaction() as transaction:
            store.append(transaction, numbered(0))
            seen = list(reader.all_stored_events_since(0, 10))
            newest = reader.newest_event_id()
        check(
            not seen, Store.NOT_COMMITTED, f"append() was not committed, and a reader sees {seen}."
        )
        check(newest is None, Store.NEWEST, f"Nothing is committed; newest_event_id() is {newest}.")
        expect_numbers([0], read_all(reader), Store.TRANSACTION)

    def test_an_invalid_event_stores_none_of_its_append(self, store: EventStore) -> None:
        bad = NewEvent("Bad", {"not": "JSON"})
        object.__setattr__(bad, "body", {1, 2})
        with store.transaction() as transaction:
            try:
                store.append(transaction, numbered(97), bad, numbered(98))
            except InvalidEventError:
                pass
            else:
                broken(Store.ALL_OR_NONE, "An event whose body JSON cannot hold was appended.")
            store.append(transaction, numbered(0))
        expect_numbers([0], read_all(store), Store.ALL_OR_NONE)

    def test_limit_and_start_choose_a_range(self, store: EventStore) -> None:
        append(store, *(numbered(each) for each in range(10)))
        everything = read_all(store)
        ids = [event.event_id for event in everything]
        expect_ascending(everything)
        for start in range(10):
            for limit in (1, 3, 100):
                found = list(store.all_stored_events_since(ids[start], limit))
                wanted = everything[start + 1 : start + 1 + limit]
                check(
                    found == wanted,
                    Store.SINCE,
                    f"Of ids {ids}, {limit} since {ids[start]} gave "
                    f"{[event.event_id for event in found]}.",
                )
        none = list(store.all_stored_events_since(MAX_EVENT_ID, 5))
        check(none == [], Store.SINCE, f"Events since the largest id: {none}.")

    def test_newest_and_count_follow_what_is_stored(self, store: EventStore) -> None:
        append(store, *(numbered(each) for each in range(5)))
        ids = [event.event_id for event in read_all(store)]
        newest = store.newest_event_id()
        check(newest == ids[-1], Store.NEWEST, f"Of ids {ids}, newest_event_id() is {newest}.")
        counts = [store.count_stored_events_since(since) for since in (0, *ids)]
        check(counts == [5, 4, 3, 2, 1, 0], Store.COUNT, f"Counts since 0 and {ids}: {counts}.")
        missing = store.stored_event(ids[-1] + 1000)
        check(missing is None, Store.STORED_EVENT, f"An id that was never given: {missing}.")

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

    def test_a_closed_store_may_be_used_again(self, store: EventStore) -> None:
        append(store, numbered(0))
        store.close()
        store.close()
        append(store, numbered(1))
        expect_numbers([0, 1], read_all(store), Store.CLOSE)

    def test_a_wait_ends_in_time(self, store: EventStore) -> None:
        read_all(store)
        over = threading.Event()

        def wait() -> None:
            for _ in range(3):
                store.wait(0.05)
            over.set()

        threading.Thread(target=wait, daemon=True).start()
        check(
            over.wait(self.patience),
            Store.WAIT,
            f"wait(0.05), three times, has not returned after {self.patience:g} s.",
        )

    def test_a_wait_after_an_append_ends_at_once_or_does_not_begin(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        reader = new_store()
        for each in range(3):
            stored = read_all(reader)
            expect_numbers(range(each), stored, Store.IN_ORDER)
            append(store, numbered(each))
            begun = time.monotonic()
            came = reader.wait(self.patience)
            check(
                came is not False and time.monotonic() - begun < self.patience,
                Store.WAIT_TELLS,
                f"An event was committed after the last read, and wait() returned {came} after "
                f"{time.monotonic() - begun:.1f} s.",
            )
        expect_numbers(range(3), read_all(reader), Store.IN_ORDER)

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

    def test_a_database_that_is_away_is_unavailable_until_it_is_back(
        self, store: EventStore, new_store: MakeStore, link: Link, secrets: Sequence[str]
    ) -> None:
        append(store, numbered(0))
        reader = new_store(via=link.address)
        expect_numbers([0], read_all(reader), Store.UNAVAILABLE)
        link.refuse()
        link.cut()
        try:
            reader.all_stored_events_since(0, 10)
        except StoreUnavailableError as error:
            for secret in secrets:
                check(secret not in f"{error} {error!r}", Producer.NO_SECRET, "It does.")
        else:
            broken(Store.UNAVAILABLE, "The database was cut off, and reading raised nothing.")
        link.admit()

        def back() -> bool:
            try:
                return len(reader.all_stored_events_since(0, 10)) == 1
            except StoreUnavailableError:
                return False

        check(
            until(back, self.patience),
            Store.UNAVAILABLE,
            f"The database is back, and {self.patience:g} s later it is not read.",
        )
