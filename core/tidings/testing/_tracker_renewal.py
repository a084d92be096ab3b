"""A tracker's leases, many of them renewed at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from tidings.testing._judging import check
from tidings.testing._tracker_lease import SHORT, refusal_of
from tidings.testing._tracker_position import LONG
from tidings.testing.promises import Tracker
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import Lease, PublishedMessageTracker


class RenewalPromises:
    """What holds if the leases of several exchanges are renewed together."""

    patience: ClassVar[float]

    def test_many_leases_run_their_full_time_again_when_renewed_together(
        self, tracker: PublishedMessageTracker
    ) -> None:
        names = ["a", *(f"b{number}" for number in range(20))]
        leases = [tracker.acquire_lease(name, f"of {name}", LONG) for name in names]
        begun = time.monotonic()
        worn = until(lambda: time.monotonic() > begun + 2, self.patience)
        check(worn, Tracker.RENEW_ALL, "The clock stands still.")
        before = [refusal_of(tracker, "two", name=name).seconds_left for name in names]
        _expect_answers(tracker, leases, [True] * len(leases))
        for name, had in zip(names, before, strict=True):
            has = refusal_of(tracker, "two", name=name).seconds_left
            check(
                has > had + 0.5,
                Tracker.RENEW_ALL,
                f"renew_leases() was called when the lease of {name!r} had {had:.2f} s left; now "
                f"it has {has:.2f} s.",
            )

    def test_of_leases_renewed_together_the_lost_ones_are_told(
        self, tracker: PublishedMessageTracker
    ) -> None:
        taken, _, released, first, last = leases = [
            tracker.acquire_lease(name, f"of {name}", LONG)
            for name in ("taken", "replayed", "released", "a", "z")
        ]
        heir = tracker.acquire_lease("taken", "heir", SHORT, in_place_of=taken.epoch)
        tracker.replay("replayed", 0)
        tracker.release_lease(released)
        _expect_answers(tracker, leases, [False, False, False, True, True])
        left = refusal_of(tracker, "two", name="taken").seconds_left
        check(
            left <= SHORT,
            Tracker.RENEW_ALL,
            f"The lost lease of 'taken' was to be renewed, and that of {heir.owner!r}, taken for "
            f"{SHORT:g} s, now has {left:.2f} s.",
        )
        tracker.acquire_lease("replayed", "heir", LONG)
        tracker.acquire_lease("released", "heir", LONG)
        for lease in (first, last):
            tracker.renew_lease(lease)


def _expect_answers(
    tracker: PublishedMessageTracker, leases: Sequence[Lease], wanted: Sequence[bool]
) -> None:
    answers = tracker.renew_leases(leases)
    told = {lease.exchange_name: answers.get(lease) for lease in leases}
    check(
        list(told.values()) == list(wanted),
        Tracker.RENEW_ALL,
        f"Of leases of which some may be lost, renew_leases() says {told}; it should be "
        f"{list(wanted)}.",
    )
