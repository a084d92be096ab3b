"""The suites for event stores and trackers behind a line, with each planted fault.

Run by test_away_faults.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.testing import faulty_away
from tests.testing.planted import Finding, plant
from tests.testing.test_memory_contract import TestInMemoryEventStore as SoundStore
from tests.testing.test_memory_contract import TestInMemoryTracker as SoundTracker
from tidings.builtin.memory import InMemoryEventStore, InMemoryTracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.testing import Link, MakeStore, MakeTracker


class OnALine:
    has_link = True
    patience = 1.0

    @pytest.fixture
    def line(self) -> faulty_away.Line:
        return faulty_away.Line()

    @pytest.fixture
    def link(self, line: faulty_away.Line) -> Link:
        return line

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return [faulty_away.SECRET]


class PlantedStore(OnALine, SoundStore):
    __test__ = False
    fault: type[faulty_away.FarStore]

    @pytest.fixture
    @override
    def make_store(self, line: faulty_away.Line) -> MakeStore:
        near = InMemoryEventStore()
        return lambda via=None: self.fault(near, line) if via else near


class PlantedTracker(OnALine, SoundTracker):
    __test__ = False
    fault: type[faulty_away.FarTracker]

    @pytest.fixture
    @override
    def make_tracker(self, line: faulty_away.Line) -> MakeTracker:
        near = InMemoryTracker()
        return lambda via=None: self.fault(near, line) if via else near


CALLS = "every_call_says_that_the_database_is_away"
MAKING = "making_it_connects_to_nothing"
COMMIT = "a_commit_that_fails_is_told"

STORES: dict[str, Finding] = {
    "ConnectsAsItIsMade": Finding(
        MAKING, ["Making it opened 1 connection(s)", "Making one connects to nothing"]
    ),
    "AnswersOldCounts": Finding(CALLS, ["count_stored_events_since() raised nothing"]),
    "SaysThatItIsCreated": Finding(CALLS, ["create() raised nothing", "cannot be reached"]),
    "ChecksNothing": Finding(CALLS, ["check() raised nothing"]),
    "PrunesIntoTheVoid": Finding(CALLS, ["prune() raised nothing"]),
    "RaisesTheDriversError": Finding(CALLS, ["stored_event() raised ConnectionResetError"]),
    "SaysItsSecret": Finding(CALLS, ["me:<the secret>@host", "They hold no secret"]),
    "RaisesTheDriversErrorAtTheCommit": Finding(
        COMMIT, ["transaction() raised ConnectionResetError"]
    ),
    "SwallowsTheCommitsError": Finding(
        COMMIT, ["transaction() raised nothing", "What fails at the commit is raised"]
    ),
}

TRACKERS: dict[str, Finding] = {
    "TrackerThatConnectsAsItIsMade": Finding(MAKING, ["Making it opened 1 connection(s)"]),
    "TracksIntoTheVoid": Finding(CALLS, ["track_most_recent_published_message() raised nothing"]),
    "ReleasesIntoTheVoid": Finding(CALLS, ["release_lease() raised nothing"]),
    "ReplaysIntoTheVoid": Finding(CALLS, ["replay() raised nothing"]),
    "NotesIntoTheVoid": Finding(CALLS, ["note_idle() raised nothing"]),
    "RaisesTheDriversErrorOfALease": Finding(CALLS, ["renew_lease() raised ConnectionResetError"]),
    "RenewsIntoTheVoid": Finding(CALLS, ["renew_leases() raised nothing"]),
    "ListsNothing": Finding(CALLS, ["quarantined_events() raised nothing"]),
}

FAULTS = STORES | TRACKERS
BASES = {"FarStore": STORES, "FarTracker": TRACKERS}

plant(globals(), PlantedStore, faulty_away, STORES, base="FarStore")
plant(globals(), PlantedTracker, faulty_away, TRACKERS, base="FarTracker")
