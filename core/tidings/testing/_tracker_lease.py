"""A tracker's leases: one relay at a time."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.errors import LeaseHeldError, LeaseLostError
from tidings.testing._judging import broken, check
from tidings.testing._tracker_position import LONG, event, expect_position
from tidings.testing.promises import Tracker
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import Lease, PublishedMessageTracker
    from tidings.testing._making import MakeTracker

SHORT = 1.0
"""A lease that a test waits out."""


class LeasePromises:
    """What holds for leases."""

    patience: ClassVar[float]
    has_clock: ClassVar[bool]

    def test_a_lease_of_another_is_refused_with_its_owner_and_epoch(
        self, tracker: PublishedMessageTracker
    ) -> None:
        lease = tracker.acquire_lease("a", "one", LONG)
        refused = refusal_of(tracker, "two")
        found = (refused.exchange_name, refused.owner, refused.epoch)
        check(
            found == ("a", "one", lease.epoch),
            Tracker.HELD,
            f"'one' holds 'a' in epoch {lease.epoch}; LeaseHeldError says {found}.",
        )
        check(
            LONG - 60 < refused.seconds_left <= LONG,
            Tracker.HELD,
            f"A lease of {LONG:.0f} s was just taken; LeaseHeldError says {refused.seconds_left}.",
        )
        tracker.renew_lease(lease)

    def test_leases_of_two_exchanges_are_apart(self, tracker: PublishedMessageTracker) -> None:
        first = tracker.acquire_lease("a", "one", LONG)
        second = tracker.acquire_lease("b", "two", LONG)
        tracker.renew_lease(first)
        tracker.renew_lease(second)

    def test_the_lease_of_a_dead_holder_is_taken_in_its_place(
        self, tracker: PublishedMessageTracker
    ) -> None:
        first = tracker.acquire_lease("a", "one", LONG)
        tracker.track_most_recent_published_message("a", event(5), first)
        second = tracker.acquire_lease("a", "two", LONG, in_place_of=first.epoch)
        _expect_greater(first, second)
        _expect_taken_from("one", second)
        check(
            second.position.event_id == event(5).event_id,
            Tracker.ACQUIRE,
            f"Event 5 was tracked; the lease taken after it says {second.position}.",
        )
        _expect_fenced(tracker, first, "another relay took the lease in its place")
        expect_position(tracker, "a", 5, Tracker.FENCED)
        tracker.track_most_recent_published_message("a", event(6), second)
        expect_position(tracker, "a", 6)

    def test_in_place_of_an_older_epoch_isrefused(self, tracker: PublishedMessageTracker) -> None:
        first = tracker.acquire_lease("a", "one", LONG)
        tracker.acquire_lease("a", "two", LONG, in_place_of=first.epoch)
        refusal_of(tracker, "three", in_place_of=first.epoch)

    def test_a_lease_expires_by_itself(self, tracker: PublishedMessageTracker) -> None:
        begun = time.monotonic()
        first = tracker.acquire_lease("a", "one", SHORT)
        second = _acquire_when_free(tracker, "two", self.patience)
        waited = time.monotonic() - begun
        check(
            waited >= SHORT * 0.9,
            Tracker.HELD,
            f"A lease of {SHORT} s was taken by another after {waited:.2f} s.",
        )
        _expect_greater(first, second)
        _expect_fenced(tracker, first, "it expired, and another relay took it")

    def test_who_let_the_lease_expire_is_not_shown_as_its_owner(
        self, tracker: PublishedMessageTracker
    ) -> None:
        lease = tracker.acquire_lease("a", "one", SHORT)
        tracker.track_most_recent_published_message("a", event(5), lease)
        tracker.acquire_lease("b", "two", LONG)
        owners: dict[str, str | None] = {}

        def expired() -> bool:
            owners.update({row.exchange_name: row.owner for row in tracker.tracked_exchanges()})
            return owners == {"a": None, "b": "two"}

        check(
            until(expired, self.patience),
            Tracker.TRACKED_OWNER,
            f"The lease of 'a' was for {SHORT:g} s, that of 'b' is held by 'two'; "
            f"{self.patience:g} s later tracked_exchanges() shows the owners {owners}.",
        )

    def test_time_is_not_the_callers(
        self, tracker: PublishedMessageTracker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not self.has_clock:
            pytest.skip("declared: has_clock = False")
        tracker.acquire_lease("a", "one", LONG)
        real = time.time
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: real() + 10 * LONG)
            refusal_of(tracker, "two")

    @pytest.mark.parametrize("by", ["renew_lease", "track_most_recent_published_message"])
    def test_a_lease_runs_its_full_time_again_when_renewed(
        self, tracker: PublishedMessageTracker, by: str
    ) -> None:
        lease = tracker.acquire_lease("a", "one", LONG)
        worn = until(lambda: refusal_of(tracker, "two").seconds_left < LONG - 1.5, self.patience)
        check(worn, Tracker.HELD, "LeaseHeldError.seconds_left does not go down.")
        before = refusal_of(tracker, "two").seconds_left
        if by == "renew_lease":
            tracker.renew_lease(lease)
        else:
            tracker.track_most_recent_published_message("a", event(1), lease)
        after = refusal_of(tracker, "two").seconds_left
        check(
            after > before + 0.5,
            Tracker.RENEW if by == "renew_lease" else Tracker.TRACK,
            f"{by}() was called when the lease had {before:.2f} s left; now it has {after:.2f} s.",
        )

    def test_a_released_lease_is_free_at_once(self, tracker: PublishedMessageTracker) -> None:
        first = tracker.acquire_lease("a", "one", LONG)
        tracker.track_most_recent_published_message("a", event(5), first)
        tracker.release_lease(first)
        second = tracker.acquire_lease("a", "two", LONG)
        _expect_greater(first, second)
        _expect_taken_from(None, second)
        _expect_fenced(tracker, first, "it was released, and another relay took the next")
        expect_position(tracker, "a", 5, Tracker.FENCED)

    def test_a_released_lease_moves_nothing(self, tracker: PublishedMessageTracker) -> None:
        lease = tracker.acquire_lease("a", "one", LONG)
        tracker.release_lease(lease)
        _expect_fenced(tracker, lease, "it was released")
        expect_position(tracker, "a", None, Tracker.FENCED)

    def test_releasing_twice_takes_nothing_from_the_next(
        self, tracker: PublishedMessageTracker
    ) -> None:
        first = tracker.acquire_lease("a", "one", LONG)
        tracker.release_lease(first)
        tracker.release_lease(first)
        second = tracker.acquire_lease("a", "two", LONG)
        tracker.release_lease(first)
        refused = refusal_of(tracker, "three")
        check(
            refused.owner == "two",
            Tracker.RELEASE,
            f"An old lease was released again, and now {refused.owner!r} holds the exchange.",
        )
        tracker.renew_lease(second)

    def test_each_holder_has_a_greater_epoch(self, tracker: PublishedMessageTracker) -> None:
        leases = []
        for owner in ("one", "two", "one", "one", "three"):
            lease = tracker.acquire_lease("a", owner, LONG)
            tracker.release_lease(lease)
            leases.append(lease)
        for earlier, later in itertools.pairwise(leases):
            _expect_greater(earlier, later)

    def test_an_owner_that_comes_again_fences_its_former_self(
        self, tracker: PublishedMessageTracker
    ) -> None:
        first = tracker.acquire_lease("a", "one", LONG)
        second = tracker.acquire_lease("a", "one", LONG)
        _expect_greater(first, second)
        _expect_fenced(tracker, first, "its owner took a newer one")
        tracker.renew_lease(second)

    def test_a_lease_outlives_the_object(self, new_tracker: MakeTracker) -> None:
        first = new_tracker()
        first.create()
        lease = first.acquire_lease("a", "one", LONG)
        first.close()
        second = new_tracker()
        refusal_of(second, "two")
        second.renew_lease(lease)


def refusal_of(
    tracker: PublishedMessageTracker,
    owner: str,
    in_place_of: int | None = None,
    name: str = "a",
) -> LeaseHeldError:
    try:
        lease = tracker.acquire_lease(name, owner, LONG, in_place_of=in_place_of)
    except LeaseHeldError as error:
        return error
    return broken(Tracker.HELD, f"Another owner holds the lease, and {owner!r} was given {lease}.")


def _acquire_when_free(tracker: PublishedMessageTracker, owner: str, patience: float) -> Lease:
    leases: list[Lease] = []

    def acquired() -> bool:
        try:
            leases.append(tracker.acquire_lease("a", owner, LONG))
        except LeaseHeldError:
            return False
        return True

    check(
        until(acquired, patience),
        Tracker.HELD,
        f"A lease of {SHORT:g} s has not expired after {patience:g} s.",
    )
    return leases[0]


def _expect_greater(earlier: Lease, later: Lease) -> None:
    check(
        later.epoch > earlier.epoch,
        Tracker.EPOCH_GROWS,
        f"{earlier.owner!r} had epoch {earlier.epoch}, and after it {later.owner!r} was given "
        f"epoch {later.epoch}.",
    )


def _expect_taken_from(owner: str | None, lease: Lease) -> None:
    check(
        lease.taken_from in (owner, None),  # a tracker need not say it
        Tracker.TAKEN_FROM,
        f"The lease of {lease.owner!r} says that it was taken from {lease.taken_from!r}; it was "
        f"{owner!r}.",
    )


def _expect_fenced(tracker: PublishedMessageTracker, lease: Lease, why: str) -> None:
    calls: dict[str, Callable[[], None]] = {
        "track_most_recent_published_message()": lambda: (
            tracker.track_most_recent_published_message("a", event(99), lease)
        ),
        "renew_lease()": lambda: tracker.renew_lease(lease),
    }
    for name, call in calls.items():
        try:
            call()
        except LeaseLostError:
            continue
        broken(Tracker.FENCED, f"The lease is gone ({why}), and {name} with it raised nothing.")
