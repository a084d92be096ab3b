"""An event store with several writers: no event is given before an earlier one."""

from __future__ import annotations

import random
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.testing._judging import check
from tidings.testing._kit import few
from tidings.testing._storing import (
    RollBackError,
    append,
    expect_ascending,
    expect_numbers,
    number_of,
    numbered,
    read_all,
    roll_back,
)
from tidings.testing.promises import Store
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from tidings.event import NewEvent, StoredEvent
    from tidings.interfaces import EventStore
    from tidings.testing._making import MakeStore

BLOCKED = 0.5
"""Seconds for which a second writer is watched for waiting on the first."""


class OrderPromises:
    """What holds whatever transactions commit in whatever order."""

    concurrent_appends: ClassVar[bool]
    ids_at_commit: ClassVar[bool]
    patience: ClassVar[float]

    @pytest.mark.parametrize("first_ends", ["by commit", "by rollback"])
    def test_a_later_event_waits_for_an_earlier_one_that_may_still_appear(
        self, store: EventStore, new_store: MakeStore, first_ends: str
    ) -> None:
        self._need_gaps()
        append(store, numbered(0))
        reader = new_store()
        (before,) = read_all(reader)
        ends = pytest.raises(RollBackError) if first_ends == "by rollback" else nullcontext()
        with ends, store.transaction() as transaction:
            store.append(transaction, numbered(10))
            append(store, numbered(11))
            for _ in range(3):
                self._expect_a_hold(reader, before)
            if first_ends == "by rollback":
                raise RollBackError
        wanted = [0, 11] if first_ends == "by rollback" else [0, 10, 11]
        expect_numbers(wanted, read_all(reader), Store.NO_GAP)
        check(reader.hold() is None, Store.HOLD, f"Nothing is open; hold() is {reader.hold()}.")

    def test_what_was_committed_before_a_gap_is_given(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        self._need_gaps()
        reader = new_store()
        append(store, numbered(0))
        with store.transaction() as transaction:
            append(store, numbered(1))
            store.append(transaction, numbered(2))
            append(store, numbered(3))
            found: list[StoredEvent] = []

            def given() -> bool:
                found.extend(reader.all_stored_events_since(found[-1].event_id if found else 0, 10))
                return reader.hold() is not None

            check(
                until(given, self.patience),
                Store.HELD,
                "Event 3 may not be given, and hold() says None.",
            )
            expect_numbers([0, 1], found, Store.NO_GAP)
        expect_numbers(range(4), read_all(reader), Store.NO_GAP)

    def test_a_reader_that_begins_while_one_is_open_holds_too(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        self._need_gaps()
        with store.transaction() as transaction:
            store.append(transaction, numbered(0))
            append(store, numbered(1))
            reader = new_store()
            for _ in range(3):
                found = list(reader.all_stored_events_since(0, 10))
                check(not found, Store.NO_GAP, f"Event 0 may still appear, and {found} was given.")
        expect_numbers([0, 1], read_all(reader), Store.NO_GAP)

    def test_a_second_writer_waits_for_the_first(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        if self.concurrent_appends or self.ids_at_commit:
            pytest.skip("declared: concurrent_appends, or ids_at_commit")
        reader, done = new_store(), threading.Event()
        errors: list[BaseException] = []
        with store.transaction() as transaction:
            store.append(transaction, numbered(10))
            second = threading.Thread(target=_append_and_tell, args=(store, 11, done, errors))
            second.start()
            early = done.wait(BLOCKED)
            seen = list(reader.all_stored_events_since(0, 10))
            store.append(transaction, numbered(12))
        second.join(60)
        check(
            not early or errors,
            "concurrent_appends = False: the second append waits for the first to end",
            "A second transaction appended and committed while the first was open: declare "
            "concurrent_appends = True (or ids_at_commit = True), or serialize the writers.",
        )
        check(not seen, Store.NO_GAP, f"Nothing was committed, and a reader saw {seen}.")
        check(not errors, Store.THREADS, f"The second writer failed: {errors[:1]}.")
        expect_numbers([10, 12, 11], read_all(reader), Store.NO_GAP)

    def test_who_commits_later_has_the_greater_ids(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        if not self.ids_at_commit:
            pytest.skip("declared: ids_at_commit = False")
        reader = new_store()
        with store.transaction() as transaction:
            store.append(transaction, numbered(10))
            append(store, numbered(11))
            first = read_all(reader)
            expect_numbers([11], first, Store.NO_GAP)
            store.append(transaction, numbered(12))
        later = list(reader.all_stored_events_since(first[-1].event_id, 10))
        expect_numbers([10, 12], later, Store.NO_GAP)
        expect_numbers([11, 10, 12], read_all(new_store()), Store.NO_GAP)

    def test_a_reader_misses_nothing_among_many_writers(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        writers, each = 6, 40
        committed: list[int] = []
        errors: list[BaseException] = []
        threads = [
            threading.Thread(target=_write, args=(store, place * each, each, committed, errors))
            for place in range(writers)
        ]
        reader = new_store()
        read: list[StoredEvent] = []

        def over() -> bool:
            read.extend(reader.all_stored_events_since(read[-1].event_id if read else 0, 10))
            return not any(thread.is_alive() for thread in threads)

        for thread in threads:
            thread.start()
        ended = until(over, 4 * self.patience)
        check(ended, Store.THREADS, f"6 writers have not ended in {4 * self.patience:g} s.")
        check(not errors, Store.THREADS, f"A writer failed: {errors[:1]}.")
        until(lambda: over() and len(read) >= len(committed), self.patience)
        expect_ascending(read)
        numbers = {number_of(event) for event in read}
        lost = sorted(set(committed) - numbers)
        check(
            not lost,
            Store.NO_GAP,
            f"{len(lost)} of {len(committed)} committed events were passed over by a reader that "
            f"read while they were written: {few(lost)}.",
        )
        extra = sorted(numbers - set(committed))
        check(not extra, Store.TRANSACTION, f"Rolled back, and read: {few(extra)}.")

    def _need_gaps(self) -> None:
        if self.ids_at_commit:
            pytest.skip("declared: ids_at_commit = True")
        if not self.concurrent_appends:
            pytest.skip("declared: concurrent_appends = False")

    def _expect_a_hold(self, reader: EventStore, before: StoredEvent) -> None:
        found = list(reader.all_stored_events_since(before.event_id, 10))
        check(
            not found,
            Store.NO_GAP,
            "Event 11 is committed and event 10, appended earlier, may still be; the reader was "
            f"given {[event.body for event in found]}.",
        )
        hold = reader.hold()
        newest = reader.newest_event_id()
        check(hold is not None, Store.HELD, "A lower id may still appear, and hold() says None.")
        assert hold is not None
        assert newest is not None
        check(
            before.event_id < hold.missing_id < newest,
            Store.HOLD,
            f"hold() says that {hold.missing_id} is missing, between {before.event_id}, which was "
            f"read, and {newest}, which is committed.",
        )
        check(
            hold.holder and hold.seconds >= 0,
            Store.HOLD,
            f"hold() says {hold.holder!r} for {hold.seconds} s; it is to say who may commit.",
        )


def _append_and_tell(
    store: EventStore, number: int, done: threading.Event, errors: list[BaseException]
) -> None:
    try:
        append(store, numbered(number))
    except BaseException as error:  # noqa: BLE001 - shown by the test
        errors.append(error)
    done.set()


def _write(
    store: EventStore, first: int, count: int, committed: list[int], errors: list[BaseException]
) -> None:
    chance = random.Random(first)  # noqa: S311 - the same every time
    number = first
    try:
        while number < first + count:
            batch = [numbered(each) for each in range(number, number + chance.randint(1, 3))]
            batch = batch[: first + count - number]
            number += len(batch)
            if _transact(store, batch, keep=chance.random() > 0.1):  # noqa: PLR2004 - one in ten
                committed.extend(int(event.body) for event in batch)
    except BaseException as error:  # noqa: BLE001 - shown by the test
        errors.append(error)


def _transact(store: EventStore, batch: list[NewEvent], *, keep: bool) -> bool:
    if keep:
        append(store, *batch)
    else:
        roll_back(store, *batch)
    return keep
