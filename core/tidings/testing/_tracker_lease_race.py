"""A tracker's leases, wanted by many at once."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from tidings.testing._judging import check
from tidings.testing._racing import race
from tidings.testing._tracker_position import LONG
from tidings.testing.promises import Tracker

if TYPE_CHECKING:
    from tidings.interfaces import PublishedMessageTracker
    from tidings.testing._making import MakeTracker

THREADS = 8


class LeaseRacePromises:
    """What holds if several take a lease at the same moment."""

    def test_of_many_callers_at_once_one_gets_the_lease(
        self, tracker: PublishedMessageTracker, new_tracker: MakeTracker
    ) -> None:
        for exchange_name in ("fresh", "known"):
            if exchange_name == "known":
                known = tracker.acquire_lease(exchange_name, "before", LONG)
                tracker.release_lease(known)
            leases = race(
                [
                    functools.partial(
                        (tracker if place % 2 else new_tracker()).acquire_lease,
                        exchange_name,
                        f"owner {place}",
                        LONG,
                    )
                    for place in range(THREADS)
                ]
            )
            check(
                len(leases) == 1,
                Tracker.ONE_SUCCEEDS,
                f"{THREADS} callers wanted the lease of a {exchange_name} exchange at once; "
                f"{len(leases)} got it.",
            )

    def test_of_many_heirs_of_one_dead_holder_one_gets_the_lease(
        self, tracker: PublishedMessageTracker
    ) -> None:
        dead = tracker.acquire_lease("a", "dead", LONG)
        leases = race(
            [
                functools.partial(
                    tracker.acquire_lease, "a", f"owner {place}", LONG, in_place_of=dead.epoch
                )
                for place in range(THREADS)
            ]
        )
        check(
            len(leases) == 1,
            Tracker.ONE_SUCCEEDS,
            f"{THREADS} callers took the dead holder's place at once; {len(leases)} got it.",
        )
