"""What a tracker keeps of events that can never be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidings.errors import LeaseLostError
from tidings.interfaces import Quarantine as QuarantineInterface
from tidings.testing._tracker_position import LONG, event, expect_position
from tidings.testing.promises import Quarantine, Tracker, check

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import Lease, PublishedMessageTracker, Stop
    from tidings.testing.tracker import MakeTracker

REASON = "Exchange 'a': event 5 is 'too large' [größer ✓]; 100 % of it " + "x" * 70_000


class QuarantinePromises:
    """What holds for stops, and for the quarantine where the tracker is one."""

    def test_a_stop_is_shown_until_the_position_moves(
        self, tracker: PublishedMessageTracker, new_tracker: MakeTracker
    ) -> None:
        _need_stops(tracker)
        lease = tracker.acquire_lease("a", "one", LONG)
        tracker.track_most_recent_published_message("a", event(4), lease)
        tracker.note_stop(5, REASON, lease)
        stop = _stop(new_tracker(), "a")
        found = None if stop is None else (stop.event_id, stop.reason)
        check(found == (5, REASON), Tracker.STOP, f"Event 5 stops the exchange; noted is {found}.")
        tracker.renew_lease(lease)
        check(_stop(tracker, "a") is not None, Tracker.STOP, "A renewal of the lease removed it.")
        expect_position(tracker, "a", 4)
        tracker.track_most_recent_published_message("a", event(5), lease)
        check(_stop(tracker, "a") is None, Tracker.STOP, "Event 5 was accepted; it stays noted.")
        tracker.note_stop(None, REASON, lease)
        tracker.replay("a", 2)
        check(_stop(tracker, "a") is None, Tracker.STOP, "A replay left it noted.")

    def test_a_relay_without_its_lease_notes_nothing(
        self, tracker: PublishedMessageTracker
    ) -> None:
        _need_stops(tracker)
        quarantine = _quarantine(tracker)
        lost = tracker.acquire_lease("a", "one", LONG)
        tracker.track_most_recent_published_message("a", event(4), lost)
        quarantine.quarantine("a", event(5), "first", lost)
        quarantine.ask_to_retry("a")
        tracker.acquire_lease("a", "two", LONG, in_place_of=lost.epoch)
        before = list(quarantine.quarantined_events())
        changes: list[Callable[[], None]] = [
            lambda: tracker.note_stop(6, "late", lost),
            lambda: quarantine.quarantine("a", event(6), "late", lost),
            lambda: quarantine.quarantine("a", event(5), "late", lost),
            lambda: quarantine.settle_retry(5, None, lost),
            lambda: quarantine.settle_retry(5, "late", lost),
        ]
        for change in changes:
            with pytest.raises(LeaseLostError):
                change()
        check(
            (list(quarantine.quarantined_events()), _stop(tracker, "a")) == (before, None),
            Quarantine.FENCED,
            f"It was {before}, and is {quarantine.quarantined_events()}.",
        )
        expect_position(tracker, "a", 5)

    def test_an_event_is_noted_and_passed_in_one_step(
        self, tracker: PublishedMessageTracker, new_tracker: MakeTracker
    ) -> None:
        quarantine = _quarantine(tracker)
        lease = tracker.acquire_lease("a", "one", LONG)
        tracker.note_stop(5, "earlier", lease)
        quarantine.quarantine("a", event(5), REASON, lease)
        other = _quarantine(new_tracker())
        found = [(e.exchange_name, e.event_id, e.type_name, e.reason, e.retry_asked)
                 for e in other.quarantined_events("a")]  # fmt: skip
        wanted = [("a", 5, event(5).type_name, REASON, False)]
        check(found == wanted, Quarantine.NOTED, f"Event 5 was put there; there is {found}.")
        expect_position(tracker, "a", 5)
        check(_stop(tracker, "a") is None, Tracker.STOP, "Event 5 was passed; it stays noted.")

    def test_the_position_does_not_go_back(self, tracker: PublishedMessageTracker) -> None:
        quarantine = _quarantine(tracker)
        lease = tracker.acquire_lease("a", "one", LONG)
        quarantine.quarantine("a", event(5), "first", lease)
        tracker.track_most_recent_published_message("a", event(9), lease)
        quarantine.quarantine("a", event(5), "second", lease)
        expect_position(tracker, "a", 9, Quarantine.NOT_BACK)
        reasons = [each.reason for each in quarantine.quarantined_events("a")]
        check(reasons == ["second"], Quarantine.NOT_BACK, f"Its reasons are {reasons}.")
        quarantine.settle_retry(5, None, lease)
        expect_position(tracker, "a", 9, Quarantine.NOT_BACK)

    def test_a_retry_is_asked_for_and_settled(self, tracker: PublishedMessageTracker) -> None:
        quarantine = _quarantine(tracker)
        lease = _fill(tracker, quarantine)
        asked = quarantine.ask_to_retry("a", 7), quarantine.ask_to_retry("a", 8)
        check(asked == (1, 0), Quarantine.RETRY, f"5, 7, 9 are there; 7 and 8 gave {asked}.")
        _expect(quarantine, [("a", 7)], retry_asked=True)
        quarantine.settle_retry(7, "still", lease)
        _expect(quarantine, [], retry_asked=True)
        check(
            [e.reason for e in quarantine.quarantined_events("a")] == ["first", "still", "first"],
            Quarantine.RETRY,
            "Event 7 was refused again; its reason is not the new one, or others' changed.",
        )
        asked_for_all = quarantine.ask_to_retry("a")
        check(asked_for_all == len("579"), Quarantine.RETRY, f"All gave {asked_for_all}.")
        quarantine.settle_retry(5, None, lease)
        _expect(quarantine, [("a", 7), ("a", 9)], retry_asked=True)
        _expect(quarantine, [("a", 7), ("a", 9), ("b", 5)])

    def test_what_is_dropped_is_gone_alone(self, tracker: PublishedMessageTracker) -> None:
        quarantine = _quarantine(tracker)
        _fill(tracker, quarantine)
        dropped = [quarantine.drop_quarantined("a", 5) for _ in range(2)]
        check(dropped == [True, False], Quarantine.DROP, f"Dropping it twice gave {dropped}.")
        check(
            quarantine.drop_quarantined("never seen", 5) is False,
            Quarantine.DROP,
            "Dropping from an exchange that nobody knows did not give False.",
        )
        _expect(quarantine, [("a", 7), ("a", 9), ("b", 5)])


def _fill(tracker: PublishedMessageTracker, quarantine: QuarantineInterface) -> Lease:
    other = tracker.acquire_lease("b", "one", LONG)
    quarantine.quarantine("b", event(5), "first", other)
    lease = tracker.acquire_lease("a", "one", LONG)
    for event_id in (9, 5, 7):
        quarantine.quarantine("a", event(event_id), "first", lease)
    return lease


def _expect(
    quarantine: QuarantineInterface, wanted: list[tuple[str, int]], *, retry_asked: bool = False
) -> None:
    found = [each[:2] for each in quarantine.quarantined_events(retry_asked=retry_asked)]
    check(found == wanted, Quarantine.LIST, f"There should be {wanted}; there is {found}.")


def _stop(tracker: PublishedMessageTracker, exchange_name: str) -> Stop | None:
    rows = {row.exchange_name: row for row in tracker.tracked_exchanges()}
    return rows[exchange_name].stop


def _need_stops(tracker: PublishedMessageTracker) -> None:
    lease = tracker.acquire_lease("needed", "one", LONG)
    tracker.note_stop(1, "noted", lease)
    if _stop(tracker, "needed") is None:
        pytest.skip("declared: note_stop keeps nothing")


def _quarantine(tracker: PublishedMessageTracker) -> QuarantineInterface:
    if not isinstance(tracker, QuarantineInterface):
        pytest.skip("declared: it is no Quarantine")
    return tracker
