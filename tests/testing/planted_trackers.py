"""The suite for trackers, applied to each planted fault. Run by test_tracker_faults.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.testing import faulty_trackers
from tests.testing.planted import Finding, plant
from tests.testing.test_memory_contract import TestInMemoryTracker as Sound

if TYPE_CHECKING:
    from tidings.testing import MakeTracker


class Planted(Sound):
    fault: type[faulty_trackers.Base]
    patience = 3.0
    can_be_restored = True

    @pytest.fixture
    @override
    def make_tracker(self) -> MakeTracker:
        tracker = self.fault()
        return lambda via=None: tracker


FAULTS: dict[str, Finding] = {
    "SaysNothingOfItself": Finding(
        "says_the_same_capabilities",
        ["makes says nothing, the test class journal, notes, pause, quarantine: one of"],
    ),
    "LosesTheEpoch": Finding(
        "each_holder_has_a_greater_epoch",
        ["'one' had epoch 1, and after it 'two' was given epoch 1", "grows with each holder"],
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
    "ReplaysBesideTheQuarantine": Finding(
        "what_a_replay_sends_again",
        ["there is [('a', 5), ('a', 7), ('a', 9), ('b', 5)]", "leaves its quarantine"],
    ),
    "MarksTheTypeThatIsMended": Finding(
        "noted_and_passed_in_one_step", ["should be '20", "without a type name"]
    ),
    "TakesAnyPlace": Finding("in_place_of_an_older_epoch", ["and 'three' was given"]),
    "NamesWhoGaveItBack": Finding(
        "a_released_lease_is_free", ["taken from 'one'; it was None", "had not given it back"]
    ),
    "NeverExpires": Finding("a_lease_expires_by_itself", ["has not expired after 3 s"]),
    "DoesNotRenew": Finding(
        "runs_its_full_time_again",
        ["renew_lease() was called when", "track_most_recent_published_message() was called when"],
    ),
    "RenewsUntilOneIsLost": Finding(
        "the_lost_ones_are_told", ["says {'taken': None, 'replayed': None", "that it was lost."]
    ),
    "RenewsWhoeverHolds": Finding(
        "the_lost_ones_are_told", ["that of 'heir', taken for 1 s, now has"]
    ),
    "BelievesInItsLeases": Finding(
        "the_lost_ones_are_told", ["says {'taken': True", "[False, False, False, True, True]"]
    ),
    "RenewsOnlyTheFirst": Finding(
        "when_renewed_together", ["the lease of 'b0' had", "for its full time again"]
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
    "ReplaysWhateverCameFirst": Finding(
        "of_two_replays_that_saw_the_same",
        ["replay() of generation 0 after that returned True", "another replay came first"],
    ),
    "ReplaysInNoTurn": Finding(
        "of_two_replays_that_saw_the_same", ["replay() of generation 0 returned False"]
    ),
    "CountsReplays": Finding(
        "a_generation_that_no_other_began",
        ["The first replay began generation 1.", "must not count on from there"],
    ),
    "DrawsLongGenerations": Finding(
        "a_generation_that_no_other_began", ["The generation of a replay is ", "in 64 bits, too"]
    ),
    "ShowsWhoseLeaseExpired": Finding(
        "who_let_the_lease_expire",
        ["shows the owners {'a': 'one', 'b': 'two'}", "a lease that has not expired"],
    ),
    "LeavesAThread": Finding("close_leaves_nothing_open", ["there is still the thread 'pool'"]),
    "FindsTheQuarantineByPrefix": Finding(
        "names_alike_share_no_quarantine",
        ["Of exchange 'my-b', events [", "Return those of one exchange"],
    ),
    "CountsWhatIsToBeRetried": Finding(
        "what_is_dropped_is_gone_alone",
        ["count_quarantined() gives {}", "of each exchange that has any"],
    ),
    "RetriesByPrefix": Finding("names_alike_share_no_quarantine", ["of 'my-bc'; it gave 8"]),
    "EmptiesByPrefix": Finding(
        "names_alike_share_no_quarantine", ["quarantined_events() gives []"]
    ),
    "FindsTheJournalByPattern": Finding("names_alike_share_no_journal", ["It gave [('my-bc.a'"]),
    "PausesByPrefix": Finding("names_alike_share_no_pause", ["Of exchange 'my-bc.a', paused()"]),
    "ForgetsIdleRelaysByPrefix": Finding(
        "names_alike_share_no_idle_relay", ["Of exchange 'My-BC', [] is shown"]
    ),
    "ReplaysUnderTheHolder": Finding(
        "replay_sets_the_position_of_that", ["the relay that ran before may still track"]
    ),
    "IgnoresCase": Finding("exchanges_do_not_share", ["LeaseLostError"]),
    "KeepsThirtyTwoBits": Finding("track_moves_the_position", ["it should be 2147483648"]),
    "ListsInAnyOrder": Finding("tracked_exchanges_are_listed", ["has a row, by name."]),
    "LooksForOneExchangeInAnyCase": Finding(
        "one_tracked_exchange_is_shown_as_it_is", ["has no row, and tracked_exchange() shows"]
    ),
    "ShowsNobodyIdleOfOneExchange": Finding(
        "what_idle_relays_say_is_shown", ["By itself, exchange 'a' has another idle."]
    ),
    "CallsTheBeginningZero": Finding(
        "an_unknown_exchange_has_no_position", ["is 0; it should be None", "before the first"]
    ),
    "ShowsIdleRelaysEverywhere": Finding(
        "what_idle_relays_say_is_shown",
        ["Of exchange 'a', [('one'", "stands by, or why it cannot work"],
    ),
    "TakesAnybodysStop": Finding(
        "a_stop_is_not_noted_without", ["note_stop() raised nothing", "no longer the newest"]
    ),
    "AddsToWhatARelaySaid": Finding("what_a_relay_says_anew", ["what the same relay has said"]),
    "KeepsIdleRelaysForGood": Finding(
        "goes_with_its_time", ["noted for 1 s, and is shown after 3 s", "for so many seconds"]
    ),
    "ForgetsIdleRelaysOfAll": Finding(
        "a_relay_that_works_said_is_forgotten",
        ["Of exchange 'b', [] is shown", "it works, or has ended"],
    ),
    "KeepsTheWholeJournal": Finding(
        "not_more_than_so_many", ["At most 4 of 9 were to be kept; there are 9", "are kept"]
    ),
    "KeepsTheJournalForGood": Finding("none_is_kept_that_is_too_old", ["older than 30 h: ['50'"]),
    "GivesTheOldest": Finding("found_by_exchange_time_and_id", ["Return the newest"]),
    "CountsTheJournalAnew": Finding("is_kept_as_it_was_told", ["Three entries have ids [1, 1, 1]"]),
    "PausesAnew": Finding("a_second_pause_changes_nothing", ["paused() says ('bob@host', None)"]),
    "ForgetsThePauseInAReplay": Finding(
        "survives_a_replay", ["paused() says None", "and a replay"]
    ),
    "PausesEveryExchange": Finding(
        "a_pause_is_of_that_exchange", ["Of exchange 'A', paused() says ('ada@host'"]
    ),
    "NamesNoPausedExchange": Finding(
        "a_pause_is_of_that_exchange", ["Exchange 'a' is paused; paused_exchanges() names []"]
    ),
    "NamesPausedExchangesInLowerCase": Finding(
        "names_alike_share_no_pause", ["Exchange 'My-BC' is paused; paused_exchanges() names"]
    ),
    "PausesByTakingTheLease": Finding("takes_no_lease", ["LeaseLostError"]),
}

plant(globals(), Planted, faulty_trackers, FAULTS)
