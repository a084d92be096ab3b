"""The suite for event stores, applied to each planted fault. Run by test_store_faults.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.testing import faulty_stores
from tests.testing.planted import Finding, plant
from tests.testing.test_memory_contract import TestInMemoryEventStore as Sound
from tidings.plugins import Capability

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.testing import MakeStore


class Planted(Sound):
    fault: type[faulty_stores.Base]
    capabilities = Sound.capabilities | {Capability.WAKE_UP}
    patience = 1.0
    can_be_spoiled = can_be_replaced = True

    @pytest.fixture
    @override
    def make_store(self) -> MakeStore:
        store = self.fault()
        return lambda via=None: store

    @pytest.fixture
    @override
    def spoil(self, make_store: MakeStore) -> Callable[[int], None]:
        store = make_store()
        assert isinstance(store, faulty_stores.Base)
        return store.spoiled.add

    @pytest.fixture
    @override
    def replace(self, make_store: MakeStore) -> Callable[[], None]:
        store = make_store()
        assert isinstance(store, faulty_stores.Base)
        return store.replace


FAULTS: dict[str, Finding] = {
    "ShowsElevenBeforeTen": Finding(
        "a_later_event_waits",
        ["event 10, appended earlier, may still be", "['11']", "may still appear. A reader"],
    ),
    "GivesUpAfterThreePolls": Finding(
        "a_later_event_waits", ["event 10, appended earlier, may still be"]
    ),
    "NamesItselfAnew": Finding(
        "the_identity_is_the_stores", ["identity() is {", "tells this store from every other"]
    ),
    "NamesItselfAsAll": Finding(
        "an_identity_of_its_own", ["both say identity() 'the event store'", "from every other one"]
    ),
    "WatchesNothing": Finding(
        "another_store_in_its_place", ["watch() still raises no EventStoreError", "is no longer so"]
    ),
    "LeavesAThread": Finding(
        "close_leaves_nothing_open", ["there is still the thread 'listener'", "Give back"]
    ),
    "LeavesAFile": Finding("close_leaves_nothing_open", ["there is still the file '/", "events-"]),
    "NeverRests": Finding(
        "a_wait_rests", ["wait(0.3) gave Waited.MAY_BE_NEW after 0.0", "would never rest"]
    ),
    "SaysAtOnceThatTimeIsUp": Finding(
        "a_wait_rests", ["gave Waited.TIME_IS_UP after 0.0", "the time that it was given"]
    ),
    "GivesAllAtOnce": Finding(
        "large_events_come_a_few", ["gave 25 events of 1048575 bytes each", "or is a single event."]
    ),
    "GivesNoneOfTheLarge": Finding("large_events_come_a_few", ["0 were given, and then none"]),
    "CriesWolf": Finding("a_store_that_is_well", ["watch() raised UnsafeStoreError"]),
    "NeverSaysWhy": Finding(
        "a_later_event_waits", ["A lower id may still appear, and hold() says None", "says which"]
    ),
    "HoldsForEver": Finding("what_is_rolled_back", ["Read were [0]; stored were [0, 1]"]),
    "KeepsWhatWasRolledBack": Finding(
        "what_is_rolled_back", ["Read were [0, 99, 98, 1]", "rolled back was never stored"]
    ),
    "CommitsByItself": Finding(
        "what_is_not_committed_is_not_seen", ["Neither commits nor rolls back."]
    ),
    "StoresHalf": Finding("an_invalid_event_stores_none", ["Read were [97, 0]", "All or none"]),
    "StoresAnything": Finding(
        "an_invalid_event_stores_none", ["An event whose body JSON cannot hold was appended"]
    ),
    "ReversesEvents": Finding("events_of_one_append_keep", ["Store ``events``, in their order"]),
    "CutsMicroseconds": Finding(
        "comes_back_as_it_was_stored", ["occurred_on was stored as 2026", "to the microsecond"]
    ),
    "LosesTheZone": Finding("comes_back_as_it_was_stored", ["occurred_on was stored as"]),
    "StoresAscii": Finding("comes_back_as_it_was_stored", ["The body was stored as", "J?rgen"]),
    "TakesNoneForEmpty": Finding(
        "comes_back_as_it_was_stored", ["The aggregate_id was stored as None and read as ''"]
    ),
    "CountsFromHere": Finding("limit_and_start_choose", ["with an id greater than ``event_id``"]),
    "IgnoresTheLimit": Finding("limit_and_start_choose", ["1 since 1 gave [2, 3, 4,"]),
    "FailsTheWholeBatch": Finding(
        "cannot_be_read_is_named", ["given were [4, 5]", "ends what is returned"]
    ),
    "PassesTheUnreadable": Finding("cannot_be_read_is_named", ["None is what was named"]),
    "GivesTheUnreadable": Finding("cannot_be_read_is_named", ["and stored_event() gives"]),
    "CountsToTheEnd": Finding("newest_and_count_follow", ["[5, 3, 4, 2, 1, 0]", "no further than"]),
    "HidesThatItCanPrune": Finding(
        "says_the_same_capabilities", ["make_store makes says wake_up, the test class prune, wake"]
    ),
    "PrunesOneTooFew": Finding(
        "prune_deletes_up_to", ["3 event(s) had to go; prune() returned 2", "not greater than"]
    ),
    "PrunesTheNewest": Finding("prune_keeps_the_newest", ["the newest event always stays"]),
    "PrunesTheYoung": Finding("prune_with_a_time", ["0 event(s) had to go; prune() returned 4"]),
    "PrunesWhereItShouldCount": Finding("a_dry_run_only_counts", ["stored were [0, 1, 2, 3]"]),
    "WaitsForEver": Finding(
        "a_wait_ends_in_time", ["has not returned after 1 s", "Wait up to ``seconds``"]
    ),
    "HearsOnlyWhatComesLater": Finding(
        "a_wait_after_an_append", ["wait() returned Waited.TIME_IS_UP", "MAY_BE_NEW`` at once"]
    ),
    "WaitsInVain": Finding("a_wait_after_an_append", ["wait() returned Waited.CANNOT_TELL after "]),
    "LosesWhatEndsTheWait": Finding("a_wait_after_an_append", ["Read were []; stored were [0]"]),
    "EmptiesOnCreate": Finding("create_again_keeps", ["Read were []; stored were [0]"]),
    "DiesWhenClosed": Finding("a_closed_store_may_be_used", ["this store is closed"]),
}

plant(globals(), Planted, faulty_stores, FAULTS)
