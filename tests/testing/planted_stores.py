"""The suite for event stores, applied to each planted fault. Run by test_store_faults.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing import faulty_stores
from tests.testing.planted import Finding, plant
from tests.testing.test_memory_contract import TestInMemoryEventStore as Sound

if TYPE_CHECKING:
    from tidings.testing import MakeStore


class Planted(Sound):
    fault: type[faulty_stores.Base]
    patience = 1.0

    @pytest.fixture
    def make_store(self) -> MakeStore:
        store = self.fault()
        return lambda via=None: store


FAULTS: dict[str, Finding] = {
    "ShowsElevenBeforeTen": Finding(
        "a_later_event_waits",
        ["event 10, appended earlier, may still be", "['11']", "may still appear: a reader"],
    ),
    "GivesUpAfterThreePolls": Finding(
        "a_later_event_waits", ["event 10, appended earlier, may still be"]
    ),
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
    "WaitsForEver": Finding(
        "a_wait_ends_in_time", ["has not returned after 1 s", "Wait up to ``seconds``"]
    ),
    "HearsOnlyWhatComesLater": Finding(
        "a_wait_after_an_append", ["wait() returned False after 1.0 s", "``True``, at once"]
    ),
    "WaitsInVain": Finding("a_wait_after_an_append", ["wait() returned None after 1.0 s"]),
    "LosesWhatEndsTheWait": Finding("a_wait_after_an_append", ["Read were []; stored were [0]"]),
    "EmptiesOnCreate": Finding("create_again_keeps", ["Read were []; stored were [0]"]),
    "DiesWhenClosed": Finding("a_closed_store_may_be_used", ["this store is closed"]),
}

plant(globals(), Planted, faulty_stores, FAULTS)
