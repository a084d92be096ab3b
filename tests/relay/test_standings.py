"""How far all exchanges have got is found out by one look, whatever fails of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tests.relay.parts import Parts, X
from tidings import InMemoryEventStore, InMemoryTracker, NewEvent, StoreUnavailableError
from tidings.relay.standings import standings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings import StoredEvent
    from tidings.interfaces import TrackedExchange

NAMES = [f"e{number}" for number in range(20)]


class Store(InMemoryEventStore):
    """Counts what it is asked; fails if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []
        self.closes = 0
        self.is_away = False

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        self.reads.append(event_id)
        if self.is_away:
            raise StoreUnavailableError("It is away.")
        return super().all_stored_events_since(event_id, limit)

    @override
    def close(self) -> None:
        self.closes += 1


class AwayTracker(InMemoryTracker):
    """Cannot be asked."""

    @override
    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        raise StoreUnavailableError("It is away.")


def filled(count: int) -> Store:
    store = Store()
    with store.transaction() as transaction:
        store.append(transaction, *(NewEvent("A", {}) for _ in range(count)))
    return store


def test_exchanges_of_one_source_and_position_cost_one_look(parts: Parts) -> None:
    store, made = filled(3), []
    parts.tracker.replay(NAMES[0], 2)

    def make(name: str) -> Store:
        made.append(name)
        return store

    found = dict(standings(dict.fromkeys(NAMES, "s"), lambda: parts.tracker, make))

    assert [each.events_behind for each in found.values()] == [1] + [3] * 19
    assert (len(made), sorted(store.reads), store.closes) == (1, [0, 2], 1)


def test_a_source_that_is_away_leaves_its_own_exchanges_out_and_is_asked_once(
    parts: Parts,
) -> None:
    away, there = filled(1), filled(2)
    away.is_away = True
    sources = dict.fromkeys(NAMES, "away") | {X: "there"}

    found = dict(
        standings(sources, lambda: parts.tracker, lambda name: there if name == X else away)
    )

    assert {name: each.events_behind for name, each in found.items()} == {X: 2}
    assert (len(away.reads), away.closes, there.closes) == (1, 1, 1)


def test_a_tracker_that_is_away_leaves_all_out() -> None:
    assert list(standings({X: "s"}, AwayTracker, lambda _: filled(1))) == []
