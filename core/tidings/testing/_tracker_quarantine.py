"""What a tracker keeps of events that can never be sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.errors import LeaseLostError
from tidings.interfaces import Capability, fingerprint_of
from tidings.testing._capabilities import expect_the_same, need
from tidings.testing._judging import broken, check
from tidings.testing._tracker_position import LONG, NAMES, event, expect_position
from tidings.testing.promises import Quarantining, Tracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import Lease, PublishedMessageTracker, Stop
    from tidings.testing._making import MakeTracker

REASON = "Exchange 'a': event 5 is 'too large' [größer ✓]; 100 % of it " + "x" * 70_000


class QuarantinePromises:
    """What holds for stops and for the quarantine, if the tracker declares that it keeps them."""

    capabilities: ClassVar[frozenset[Capability]]

    def test_the_tracker_says_the_same_capabilities(self, new_tracker: MakeTracker) -> None:
        expect_the_same(
            new_tracker().capabilities, self.capabilities, Tracker.CAPABILITIES, "make_tracker"
        )

    def test_a_stop_is_shown_until_the_position_moves(
        self, tracker: PublishedMessageTracker, new_tracker: MakeTracker
    ) -> None:
        need(self.capabilities, Capability.NOTES)
        lease = tracker.acquire_lease("a", "one", LONG)
        tracker.track_most_recent_published_message("a", event(4), lease)
        tracker.note_stop(5, REASON, lease)
        stop = _stop(new_tracker(), "a")
        found = None if stop is None else (stop.event_id, stop.reason)
        check(found == (5, REASON), Tracker.STOP, f"Event 5 stops the exchange; noted is {found}.")
        tracker.note_stop(5, "later", lease)
        again = _stop(tracker, "a")
        tracker.note_stop(5, REASON, lease)
        since = None if stop is None else stop.stopped_on
        check(
            again is not None and (again.stopped_on, again.reason) == (since, "later"),
            Tracker.STOP,
            f"Stopped since {since} by event 5, which then failed again; noted is {again}.",
        )
        tracker.renew_lease(lease)
        check(_stop(tracker, "a") is not None, Tracker.STOP, "A renewal of the lease removed it.")
        expect_position(tracker, "a", 4)
        tracker.track_most_recent_published_message("a", event(5), lease)
        check(_stop(tracker, "a") is None, Tracker.STOP, "Event 5 was accepted; it stays noted.")
        tracker.note_stop(None, REASON, lease)
        tracker.replay("a", 2)
        check(_stop(tracker, "a") is None, Tracker.STOP, "A replay left it noted.")

    def test_a_stop_is_not_noted_without_the_lease(self, tracker: PublishedMessageTracker) -> None:
        need(self.capabilities, Capability.NOTES)
        lost = tracker.acquire_lease("a", "one", LONG)
        tracker.track_most_recent_published_message("a", event(4), lost)
        tracker.acquire_lease("a", "two", LONG, in_place_of=lost.epoch)
        try:
            tracker.note_stop(5, "late", lost)
        except LeaseLostError:
            pass
        else:
            broken(Tracker.STOP_FENCED, "The lease is gone, and note_stop() raised nothing.")
        found = _stop(tracker, "a")
        check(found is None, Tracker.STOP_FENCED, f"The lease is gone, and noted is {found}.")

    def test_a_relay_without_its_lease_notes_nothing(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.NOTES)
        need(self.capabilities, Capability.QUARANTINE)
        lost = tracker.acquire_lease("a", "one", LONG)
        tracker.track_most_recent_published_message("a", event(4), lost)
        tracker.quarantine("a", event(5), "first", lost)
        tracker.ask_to_retry("a")
        tracker.acquire_lease("a", "two", LONG, in_place_of=lost.epoch)
        before = list(tracker.quarantined_events())
        changes: list[Callable[[], None]] = [
            lambda: tracker.note_stop(6, "late", lost),
            lambda: tracker.quarantine("a", event(6), "late", lost),
            lambda: tracker.quarantine("a", event(5), "late", lost),
            lambda: tracker.note_retry(5, None, lost),
            lambda: tracker.note_retry(5, "late", lost),
        ]
        for change in changes:
            with pytest.raises(LeaseLostError):
                change()
        check(
            (list(tracker.quarantined_events()), _stop(tracker, "a")) == (before, None),
            Quarantining.FENCED,
            f"It was {before}, and is {tracker.quarantined_events()}.",
        )
        expect_position(tracker, "a", 5)

    def test_an_event_is_noted_and_passed_in_one_step(
        self, tracker: PublishedMessageTracker, new_tracker: MakeTracker
    ) -> None:
        need(self.capabilities, Capability.QUARANTINE)
        lease = tracker.acquire_lease("a", "one", LONG)
        if Capability.NOTES in self.capabilities:
            tracker.note_stop(5, "earlier", lease)
        tracker.quarantine("a", event(5), REASON, lease)
        other = new_tracker()
        found = [(e.exchange_name, e.event_id, e.type_name, e.reason, e.retry_asked)
                 for e in other.quarantined_events("a")]  # fmt: skip
        wanted = [("a", 5, event(5).type_name, REASON, False)]
        check(found == wanted, Quarantining.NOTED, f"Event 5 was put there; there is {found}.")
        expect_position(tracker, "a", 5)
        check(_stop(tracker, "a") is None, Tracker.STOP, "Event 5 was passed; it stays noted.")
        mark = tracker.acquire_lease("a", "one", LONG).fingerprint
        wanted_mark = fingerprint_of("", event(5).occurred_on)
        check(
            mark == wanted_mark,
            Quarantining.MARK,
            f"Event 5 was passed; its fingerprint should be {wanted_mark!r}; it is {mark!r}.",
        )

    def test_the_position_does_not_go_back(self, tracker: PublishedMessageTracker) -> None:
        need(self.capabilities, Capability.QUARANTINE)
        lease = tracker.acquire_lease("a", "one", LONG)
        tracker.quarantine("a", event(5), "first", lease)
        tracker.track_most_recent_published_message("a", event(9), lease)
        tracker.quarantine("a", event(5), "second", lease)
        expect_position(tracker, "a", 9, Quarantining.NOT_BACK)
        reasons = [each.reason for each in tracker.quarantined_events("a")]
        check(reasons == ["second"], Quarantining.NOT_BACK, f"Its reasons are {reasons}.")
        tracker.note_retry(5, None, lease)
        expect_position(tracker, "a", 9, Quarantining.NOT_BACK)

    def test_a_retry_is_asked_for_and_settled(self, tracker: PublishedMessageTracker) -> None:
        need(self.capabilities, Capability.QUARANTINE)
        lease = _fill(tracker)
        asked = tracker.ask_to_retry("a", 7), tracker.ask_to_retry("a", 8)
        check(asked == (1, 0), Quarantining.RETRY, f"5, 7, 9 are there; 7 and 8 gave {asked}.")
        _expect(tracker, [("a", 7)], retry_asked=True)
        tracker.note_retry(7, "still", lease)
        _expect(tracker, [], retry_asked=True)
        check(
            [e.reason for e in tracker.quarantined_events("a")] == ["first", "still", "first"],
            Quarantining.RETRY,
            "Event 7 was refused again; its reason is not the new one, or others' changed.",
        )
        asked_for_all = tracker.ask_to_retry("a")
        check(asked_for_all == len("579"), Quarantining.RETRY, f"All gave {asked_for_all}.")
        tracker.note_retry(5, None, lease)
        _expect(tracker, [("a", 7), ("a", 9)], retry_asked=True)
        _expect(tracker, [("a", 7), ("a", 9), ("b", 5)])

    def test_what_a_replay_sends_again_leaves_the_quarantine(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.QUARANTINE)
        _fill(tracker)
        tracker.replay("a", 5)
        left = [each[:2] for each in tracker.quarantined_events()]
        wanted = [("a", 5), ("b", 5)]
        check(
            left == wanted,
            Quarantining.REPLAYED,
            f"Exchange 'a' gets all after 5 again; there should be {wanted}; there is {left}.",
        )

    def test_exchanges_with_names_alike_share_no_quarantine(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.QUARANTINE)
        names = sorted(NAMES)
        leases = {name: tracker.acquire_lease(name, "one", LONG) for name in names}
        for event_id, name in enumerate(names, 10):
            tracker.quarantine(name, event(event_id), "first", leases[name])
        wanted = {name: [event_id] for event_id, name in enumerate(names, 10)}

        def expect() -> None:
            for name in names:
                found = [each.event_id for each in tracker.quarantined_events(name)]
                check(
                    found == wanted[name],
                    Quarantining.LIST,
                    f"Of exchange {name!r}, events {wanted[name]} are in quarantine; "
                    f"quarantined_events() gives {found}.",
                )

        expect()
        chosen = "my-bc"
        asked = tracker.ask_to_retry(chosen)
        check(asked == 1, Quarantining.RETRY, f"One event is there of {chosen!r}; it gave {asked}.")
        _expect(tracker, [(chosen, wanted[chosen][0])], retry_asked=True)
        tracker.note_retry(wanted[chosen][0], None, leases[chosen])
        wanted[chosen] = []
        expect()
        for name in ("my-bc.a", "My-BC"):
            event_id = wanted[name].pop()
            check(tracker.drop_quarantined(name, event_id), Quarantining.DROP, "It gave False.")
            expect()
        tracker.replay("my-b", 0)
        wanted["my-b"] = []
        expect()

    def test_what_is_dropped_is_gone_alone(self, tracker: PublishedMessageTracker) -> None:
        need(self.capabilities, Capability.QUARANTINE)
        _fill(tracker)
        dropped = [tracker.drop_quarantined("a", 5) for _ in range(2)]
        check(dropped == [True, False], Quarantining.DROP, f"Dropping it twice gave {dropped}.")
        check(
            tracker.drop_quarantined("never seen", 5) is False,
            Quarantining.DROP,
            "Dropping from an exchange that nobody knows did not give False.",
        )
        _expect(tracker, [("a", 7), ("a", 9), ("b", 5)])


def _fill(tracker: PublishedMessageTracker) -> Lease:
    other = tracker.acquire_lease("b", "one", LONG)
    tracker.quarantine("b", event(5), "first", other)
    lease = tracker.acquire_lease("a", "one", LONG)
    for event_id in (9, 5, 7):
        tracker.quarantine("a", event(event_id), "first", lease)
    return lease


def _expect(
    tracker: PublishedMessageTracker, wanted: list[tuple[str, int]], *, retry_asked: bool = False
) -> None:
    found = [each[:2] for each in tracker.quarantined_events(retry_asked=retry_asked)]
    check(found == wanted, Quarantining.LIST, f"There should be {wanted}; there is {found}.")
    if not retry_asked:
        counted = dict(tracker.count_quarantined())
        check(
            counted == Counter(name for name, _ in wanted),
            Quarantining.COUNT,
            f"In quarantine are {wanted}; count_quarantined() gives {counted}.",
        )


def _stop(tracker: PublishedMessageTracker, exchange_name: str) -> Stop | None:
    rows = {row.exchange_name: row for row in tracker.tracked_exchanges()}
    return rows[exchange_name].stop
