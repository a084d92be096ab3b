"""The suite for trackers, applied to each planted fault. Run by test_tracker_faults.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing import faulty_trackers
from tests.testing.planted import Finding, plant
from tests.testing.test_memory_contract import TestInMemoryPublishedMessageTracker as Sound

if TYPE_CHECKING:
    from tidings.testing import MakeTracker


class Planted(Sound):
    fault: type[faulty_trackers.Base]
    patience = 3.0

    @pytest.fixture
    def make_tracker(self) -> MakeTracker:
        tracker = self.fault()
        return lambda via=None: tracker


FAULTS: dict[str, Finding] = {
    "LosesTheEpoch": Finding(
        "each_holder_has_a_greater_epoch",
        ["'one' had epoch 1, and after it 'two' was given epoch 1", "Grows with each holder"],
    ),
    "FencesNobody": Finding(
        "the_lease_of_a_dead_holder",
        ["The lease is gone (another relay took the lease in its place)", "moves nothing"],
    ),
    "FencesTooLate": Finding(
        "the_lease_of_a_dead_holder",
        ["The position of 'a' is 99; it should be 5", "moves nothing"],
    ),
    "MovesWhatWasReleased": Finding(
        "a_released_lease_moves_nothing", ["The lease is gone (it was released)"]
    ),
    "GivesTheLeaseToAll": Finding(
        "of_many_callers_at_once", ["8 got it", "Of any number of callers at once, one succeeds."]
    ),
    "TrustsTheCallersClock": Finding(
        "time_is_not_the_callers", ["Another owner holds the lease, and 'two' was given"]
    ),
    "TakesAnyPlace": Finding("in_place_of_an_older_epoch", ["and 'three' was given"]),
    "NeverExpires": Finding("a_lease_expires_by_itself", ["has not expired after 3 s"]),
    "DoesNotRenew": Finding(
        "runs_its_full_time_again",
        ["renew_lease() was called when", "track_most_recent_published_message() was called when"],
    ),
    "ReleasesForOthers": Finding(
        "releasing_twice_takes_nothing", ["and 'three' was given", "one that has not expired"]
    ),
    "ForgetsTheFingerprint": Finding(
        "the_next_lease_holds", ["the next lease says (1, None)", "`fingerprint` of the event"]
    ),
    "ReplaysAll": Finding("replay_sets_the_position_of_that", ["LeaseLostError"]),
    "ReplaysWithinTheGeneration": Finding(
        "replay_sets_the_position_of_that",
        ["generation=0", "Begins a new generation"],
    ),
    "ReplaysUnderTheHolder": Finding(
        "replay_sets_the_position_of_that", ["the relay that ran before may still track"]
    ),
    "IgnoresCase": Finding("exchanges_do_not_share", ["LeaseLostError"]),
    "KeepsThirtyTwoBits": Finding("track_moves_the_position", ["it should be 2147483648"]),
    "ListsInAnyOrder": Finding("tracked_exchanges_are_listed", ["has a row, by name."]),
    "CallsTheBeginningZero": Finding(
        "an_unknown_exchange_has_no_position", ["is 0; it should be None", "before the first"]
    ),
}

plant(globals(), Planted, faulty_trackers, FAULTS)
