"""An event store with one writer: what goes in comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.errors import (
    InvalidEventError,
    UnreadableEventError,
)
from tidings.event import MAX_EVENT_ID, NewEvent
from tidings.testing import samples
from tidings.testing._judging import broken, check
from tidings.testing._kit import short
from tidings.testing._storing import (
    append,
    expect_ascending,
    expect_numbers,
    expect_same,
    numbered,
    read_all,
    roll_back,
)
from tidings.testing.promises import Store
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from tidings.event import StoredEvent
    from tidings.interfaces import EventStore
    from tidings.testing._making import MakeStore


MOST_BYTES = 16 * 2**20
"""Bytes of bodies and metadata that one read may give, if it gives more than one event."""


class EventPromises:
    """What holds for one transaction after another."""

    can_be_spoiled: ClassVar[bool]
    largest_body: ClassVar[int]
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
        event = samples.event_of(name, self.largest_body)
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

    def test_large_events_come_a_few_at_a_time(self, store: EventStore) -> None:
        large = samples.event_of("largest", self.largest_body)
        size = len(large.body_text().encode())
        count = MOST_BYTES * 3 // (2 * size) + 1
        for _ in range(count):
            append(store, large)
        position = read = 0
        while read < count:
            found: list[StoredEvent] = []

            def given(since: int = position, found: list[StoredEvent] = found) -> bool:
                found += store.all_stored_events_since(since, count)
                return bool(found)

            check(
                until(given, self.patience),
                Store.BYTES,
                f"Of {count} events of {size} bytes each, {read} were given, and then none.",
            )
            check(
                len(found) == 1 or len(found) * size <= MOST_BYTES,
                Store.BYTES,
                f"all_stored_events_since({position}, {count}) gave {len(found)} events of {size} "
                "bytes each.",
            )
            read += len(found)
            position = found[-1].event_id

    def test_newest_and_count_follow_what_is_stored(self, store: EventStore) -> None:
        append(store, *(numbered(each) for each in range(5)))
        ids = [event.event_id for event in read_all(store)]
        newest = store.newest_event_id()
        check(newest == ids[-1], Store.NEWEST, f"Of ids {ids}, newest_event_id() is {newest}.")
        counts = [store.count_stored_events_since(since) for since in (0, *ids)]
        check(counts == [5, 4, 3, 2, 1, 0], Store.COUNT, f"Counts since 0 and {ids}: {counts}.")
        some = [
            store.count_stored_events_between(after, up_to, most)
            for after, up_to, most in (
                (0, MAX_EVENT_ID, 9),
                (0, MAX_EVENT_ID, 3),
                (ids[0], ids[3], 9),
                (ids[0], ids[3], 2),
                (ids[3], ids[0], 9),
                (ids[4], MAX_EVENT_ID, 9),
            )
        ]
        check(some == [5, 3, 3, 2, 0, 0], Store.COUNT_BETWEEN, f"Of ids {ids}: {some}.")
        missing = store.stored_event(ids[-1] + 1000)
        check(missing is None, Store.STORED_EVENT, f"An id that was never given: {missing}.")

    def test_an_event_that_cannot_be_read_is_named_and_hides_no_other(
        self, store: EventStore, request: pytest.FixtureRequest
    ) -> None:
        if not self.can_be_spoiled:
            pytest.skip("declared: can_be_spoiled = False")
        append(store, *(numbered(each) for each in range(5)))
        ids = [event.event_id for event in read_all(store)]
        request.getfixturevalue("spoil")(ids[2])
        position = 0
        read: list[int] = []
        named: tuple[int, list[int]] | None = None
        for _ in range(len(ids) + 2):
            try:
                found = store.all_stored_events_since(position, 10)
            except UnreadableEventError as error:
                named = named or (error.event_id, list(read))
                position = error.event_id
                continue
            read += [event.event_id for event in found]
            position = read[-1] if found else position
        check(
            named == (ids[2], ids[:2]) and read == ids[:2] + ids[3:],
            Store.UNREADABLE,
            f"Of ids {ids}, {ids[2]} cannot be read; given were {read}, and {named} is what was "
            "named, with what had been given before.",
        )
        try:
            event = store.stored_event(ids[2])
        except UnreadableEventError:
            return
        broken(Store.UNREADABLE_ONE, f"It cannot be read, and stored_event() gives {short(event)}.")
