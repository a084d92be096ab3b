"""What an event store promises beyond its interface, by capability."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from tidings.event import NewEvent
from tidings.interfaces import Capability, Waited
from tidings.testing._capabilities import expect_the_same, need
from tidings.testing._judging import check
from tidings.testing._storing import append, expect_numbers, number_of, numbered, read_all
from tidings.testing.promises import Store
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from tidings.interfaces import EventStore
    from tidings.testing._making import MakeStore

A_MOMENT = 0.3
"""Seconds that a store is let wait for what does not come."""
LONG_AGO = datetime(2001, 2, 3, tzinfo=UTC)


class StoreCapabilityPromises:
    """What holds if the capability is declared."""

    capabilities: ClassVar[frozenset[Capability]]
    patience: ClassVar[float]

    def test_the_store_says_the_same_capabilities(self, new_store: MakeStore) -> None:
        said = new_store().capabilities
        expect_the_same(said, self.capabilities, Store.CAPABILITIES, "make_store")

    def test_a_wait_ends_in_time(self, store: EventStore) -> None:
        need(self.capabilities, Capability.WAKE_UP)
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

    def test_a_wait_after_an_append_ends_at_once_and_says_why(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        need(self.capabilities, Capability.WAKE_UP)
        reader = new_store()
        for each in range(3):
            stored = read_all(reader)
            expect_numbers(range(each), stored, Store.IN_ORDER)
            append(store, numbered(each))
            begun = time.monotonic()
            came = reader.wait(self.patience)
            check(
                came is Waited.MAY_BE_NEW and time.monotonic() - begun < self.patience,
                Store.WAIT_TELLS,
                f"An event was committed after the last read, and wait() returned {came} after "
                f"{time.monotonic() - begun:.1f} s.",
            )
        expect_numbers(range(3), read_all(reader), Store.IN_ORDER)

    def test_a_wait_rests_while_nobody_writes(
        self, store: EventStore, new_store: MakeStore
    ) -> None:
        need(self.capabilities, Capability.WAKE_UP)
        append(store, numbered(0))
        reader = new_store()
        said: list[str] = []

        def rests() -> bool:
            read_all(reader)
            begun = time.monotonic()
            came = reader.wait(A_MOMENT)
            took = time.monotonic() - begun
            said.append(f"{came} after {took:.3f} s")
            return came is Waited.CANNOT_TELL or (came is Waited.TIME_IS_UP and took > A_MOMENT / 2)

        check(
            until(rests, self.patience),
            Store.WAIT_RESTS,
            f"Nobody wrote for {self.patience:g} s, and wait({A_MOMENT}) gave {said[-1]}, after "
            f"{len(said) - 1} answers that let no relay rest either.",
        )

    def test_prune_deletes_up_to_an_id_and_says_how_many(self, store: EventStore) -> None:
        need(self.capabilities, Capability.PRUNE)
        append(store, *map(numbered, range(6)))
        ids = [event.event_id for event in read_all(store)]
        _expect_pruned(store.prune(ids[2]), 3)
        expect_numbers([3, 4, 5], read_all(store), Store.PRUNE)
        _expect_pruned(store.prune(ids[2]), 0)
        oldest = store.oldest_event_id()
        check(oldest == ids[3], Store.OLDEST, f"{ids[3:]} are left, and {oldest} is the oldest.")

    def test_prune_keeps_the_newest(self, store: EventStore) -> None:
        need(self.capabilities, Capability.PRUNE)
        _expect_pruned(store.prune(1), 0)
        append(store, *map(numbered, range(6)))
        newest = read_all(store)[-1].event_id
        _expect_pruned(store.prune(newest, keep=4), 2)
        expect_numbers([2, 3, 4, 5], read_all(store), Store.PRUNE_KEEPS)
        _expect_pruned(store.prune(newest + 1, keep=0), 3)
        expect_numbers([5], read_all(store), Store.PRUNE_KEEPS)

    def test_prune_with_a_time_deletes_what_occurred_before_it(self, store: EventStore) -> None:
        need(self.capabilities, Capability.PRUNE)
        append(store, *(NewEvent("Numbered", n, LONG_AGO) for n in (0, 1)))
        append(store, numbered(2), NewEvent("Numbered", 3, LONG_AGO), numbered(4))
        newest = read_all(store)[-1].event_id
        _expect_pruned(store.prune(newest, occurred_before=LONG_AGO), 0)
        _expect_pruned(store.prune(newest, occurred_before=LONG_AGO.replace(year=2002)), 3)
        expect_numbers([2, 4], read_all(store), Store.PRUNE_TIME)

    def test_a_dry_run_only_counts(self, store: EventStore) -> None:
        need(self.capabilities, Capability.PRUNE)
        append(store, *map(numbered, range(4)))
        _expect_pruned(store.prune(read_all(store)[-1].event_id, dry_run=True), 3)
        expect_numbers(range(4), read_all(store), Store.PRUNE_DRY)

    def test_what_is_in_order_gets_no_new_ids(self, store: EventStore) -> None:
        need(self.capabilities, Capability.RENUMBER)
        append(store, *map(numbered, range(3)))
        before = read_all(store)
        had = list(store.renumber())
        check(
            not had and read_all(store) == before,
            Store.RENUMBER,
            f"No sequence was set back, and renumber() gave events new ids that had {had}.",
        )

    def test_what_was_just_made_needs_no_migration(self, store: EventStore) -> None:
        need(self.capabilities, Capability.SCHEMA)
        append(store, numbered(0))
        statements = store.migrate(dry_run=True) + store.migrate()
        check(not statements, Store.MIGRATE, f"migrate() returned {statements!r}.")
        check(store.ddl().strip(), Store.DDL, "There are tables, and ddl() is empty.")
        numbers = [number_of(event) for event in read_all(store)]
        check(numbers == [0], Store.MIGRATE, f"Event 0 was stored before; there is {numbers}.")


def _expect_pruned(count: int, wanted: int) -> None:
    check(count == wanted, Store.PRUNE, f"{wanted} event(s) had to go; prune() returned {count}.")
