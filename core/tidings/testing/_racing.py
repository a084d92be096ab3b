"""Runs callers at once, for the suite of trackers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tidings.errors import LeaseHeldError
from tidings.testing._judging import check
from tidings.testing.promises import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import Lease


def race(calls: list[Callable[[], Lease]]) -> list[Lease]:
    """Run all at once; return the leases that were given."""
    barrier = threading.Barrier(len(calls))
    leases: list[Lease] = []
    errors: list[BaseException] = []

    def run(call: Callable[[], Lease]) -> None:
        barrier.wait(30)
        try:
            leases.append(call())
        except LeaseHeldError:
            pass
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    check(
        not errors,
        f"{Tracker.THREADS} {Tracker.ONE_SUCCEEDS}",
        f"Of {len(calls)} callers at once, one met {errors[:1]} instead of LeaseHeldError.",
    )
    return leases
