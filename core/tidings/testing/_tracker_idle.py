"""What a tracker keeps of relays that run, and carry nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from tidings.interfaces import Capability, IdleRelay
from tidings.testing._capabilities import need
from tidings.testing._judging import check
from tidings.testing._tracker_position import LONG, NAMES, expect_shown_alike
from tidings.testing.promises import Tracker
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from tidings.interfaces import PublishedMessageTracker, TrackedExchange
    from tidings.testing._making import MakeTracker

SHORT = 1.0
"""Seconds that a test waits out."""
SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
REASON = "Exchange 'a': 'refused' [größer ✓ 🎉]; 100 % of it " + "x" * 70_000
FAILING = IdleRelay("one", SINCE, REASON, SINCE + timedelta(seconds=25))
STANDBY = IdleRelay("two", SINCE + timedelta(minutes=1))


class IdlePromises:
    """What holds for relays that stand by, or cannot work, if the tracker keeps notes of them."""

    capabilities: ClassVar[frozenset[Capability]]
    patience: ClassVar[float]

    def test_what_idle_relays_say_is_shown_with_their_exchange(
        self, tracker: PublishedMessageTracker, new_tracker: MakeTracker
    ) -> None:
        need(self.capabilities, Capability.NOTES)
        for name in ("a", "A"):
            tracker.release_lease(tracker.acquire_lease(name, "one", LONG))
        tracker.note_idle("a", FAILING, LONG)
        tracker.note_idle("a", STANDBY, LONG)
        tracker.note_idle("A", STANDBY, LONG)
        _expect(new_tracker(), "a", [FAILING, STANDBY], Tracker.IDLE)
        _expect(new_tracker(), "A", [STANDBY], Tracker.IDLE)

    def test_exchanges_with_names_alike_share_no_idle_relay(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.NOTES)
        for name in NAMES:
            tracker.release_lease(tracker.acquire_lease(name, "one", LONG))
        for name in ("my-bc", "My-BC"):
            tracker.note_idle(name, STANDBY, LONG)
        tracker.forget_idle("my-bc", STANDBY.owner)
        for name in NAMES:
            _expect(tracker, name, [STANDBY] if name == "My-BC" else [], Tracker.IDLE)

    def test_what_a_relay_says_anew_is_all_that_it_says(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.NOTES)
        tracker.release_lease(tracker.acquire_lease("a", "one", LONG))
        tracker.note_idle("a", FAILING, LONG)
        tracker.note_idle("a", STANDBY, LONG)
        again = FAILING._replace(reason=None, next_try=None)
        tracker.note_idle("a", again, LONG)
        _expect(tracker, "a", [again, STANDBY], Tracker.IDLE_REPLACES)

    def test_what_an_idle_relay_said_goes_with_its_time(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.NOTES)
        tracker.release_lease(tracker.acquire_lease("a", "one", LONG))
        tracker.note_idle("a", FAILING, SHORT)
        tracker.note_idle("a", STANDBY, LONG)
        # One read each time: what is noted may go between two of them.
        gone = until(lambda: _idle(_row(tracker, "a")) == [STANDBY], self.patience)
        check(
            gone,
            Tracker.IDLE,
            f"It was noted for {SHORT:.0f} s, and is shown after {self.patience:.0f} s.",
        )

    def test_what_a_relay_that_works_said_is_forgotten(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.NOTES)
        for name in ("a", "b"):
            tracker.release_lease(tracker.acquire_lease(name, "one", LONG))
            tracker.note_idle(name, FAILING, LONG)
        tracker.note_idle("a", STANDBY, LONG)
        for _ in range(2):
            tracker.forget_idle("a", FAILING.owner)
            _expect(tracker, "a", [STANDBY], Tracker.IDLE_FORGOTTEN)
        _expect(tracker, "b", [FAILING], Tracker.IDLE_FORGOTTEN)
        tracker.forget_idle("unknown", FAILING.owner)


def _expect(
    tracker: PublishedMessageTracker, exchange_name: str, relays: list[IdleRelay], promise: str
) -> None:
    row = _row(tracker, exchange_name)
    expect_shown_alike(tracker, row)
    found = _idle(row)
    check(
        found == relays,
        promise,
        f"Of exchange {exchange_name!r}, {_brief(found)} is shown, not {_brief(relays)}.",
    )


def _row(tracker: PublishedMessageTracker, exchange_name: str) -> TrackedExchange:
    return {row.exchange_name: row for row in tracker.tracked_exchanges()}[exchange_name]


def _idle(row: TrackedExchange) -> list[IdleRelay]:
    return sorted(row.idle, key=lambda relay: (relay.owner, relay.reason or ""))


def _brief(relays: list[IdleRelay]) -> list[tuple[str, str | None]]:
    return [(relay.owner, relay.reason and relay.reason[:40]) for relay in relays]
