"""The suite for trackers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.plugins.kinds import TRACKER
from tidings.testing._making import MakeTracker, closed_at_the_end
from tidings.testing._plugin import missing
from tidings.testing._suite import ServerSuite
from tidings.testing._tracker_away import TrackerAwayPromises
from tidings.testing._tracker_idle import IdlePromises
from tidings.testing._tracker_journal import JournalPromises
from tidings.testing._tracker_lease import LeasePromises
from tidings.testing._tracker_lease_race import LeaseRacePromises
from tidings.testing._tracker_pause import PausePromises
from tidings.testing._tracker_position import PositionPromises
from tidings.testing._tracker_quarantine import QuarantinePromises
from tidings.testing._tracker_renewal import RenewalPromises

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.interfaces import Capability, PublishedMessageTracker


class PublishedMessageTrackerContract(
    PositionPromises,
    LeasePromises,
    LeaseRacePromises,
    RenewalPromises,
    IdlePromises,
    QuarantinePromises,
    JournalPromises,
    PausePromises,
    TrackerAwayPromises,
    ServerSuite,
):
    """Checks every promise of ``PublishedMessageTracker``, and of what it can do beyond it.

    In a test module::

        class TestMyTracker(PublishedMessageTrackerContract):
            capabilities = frozenset({Capability.NOTES})
            plugin_module, backend = "tidings_mine.plugin", "mine"

            @pytest.fixture
            def server_address(self):                  # the suite puts a proxy before it
                return ("127.0.0.1", 5432)

            @pytest.fixture
            def make_tracker(self, server_address):
                database = new_empty_database()        # one for each test, without tables
                def make(via=None):                    # every call: a tracker object on it
                    host, port = via or server_address
                    return MyTracker(MySettings(host=host, port=port, database=database))
                return make

    Fixtures stand in the class, or in a base before this one: the suite's own hide those of the
    same name in ``conftest.py``.

    Declare what differs; tests of what a tracker hasn't got are skipped:

    - ``capabilities`` (none): what the trackers that ``make_tracker`` makes can do, as their own
      attribute says.
    - ``needs_create`` (true): the tracker is unusable before ``create``.
    - ``has_link`` (true): there is a connection that can fail; wants ``server_address``.
    - ``has_clock`` (true): the database has a clock of its own. False for files on one machine,
      which all relays share with its clock.
    - ``can_be_restored`` (true): what it keeps may be set back to what it was earlier, as from a
      backup. Then a replay's generation must not be a count.
    - ``patience`` (30): seconds after which what should have happened by then has failed, on a
      loaded machine.
    - ``plugin_module`` and ``backend``: the module that the entry point names, and its name.
    """

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    needs_create: ClassVar[bool] = True
    has_clock: ClassVar[bool] = True
    can_be_restored: ClassVar[bool] = True
    patience: ClassVar[float] = 30.0
    _kind = TRACKER

    @pytest.fixture
    def make_tracker(self) -> MakeTracker:
        """Supply this: a function that makes a tracker object, ``make(via=None)``."""
        raise missing("make_tracker")

    @pytest.fixture
    def new_tracker(self, make_tracker: MakeTracker) -> Iterator[MakeTracker]:
        """Give ``make_tracker``, and close what it made when the test ends."""
        with closed_at_the_end(make_tracker) as new_tracker:
            yield new_tracker

    @pytest.fixture
    def tracker(self, new_tracker: MakeTracker) -> PublishedMessageTracker:
        """Give a tracker whose tables are there, and empty."""
        tracker = new_tracker()
        tracker.create()
        return tracker
