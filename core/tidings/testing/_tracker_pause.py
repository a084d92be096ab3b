"""What a tracker keeps of exchanges that somebody has paused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from tidings.interfaces import Capability, Pause
from tidings.testing._capabilities import need
from tidings.testing._judging import check
from tidings.testing._tracker_position import LONG, NAMES, event, expect_position
from tidings.testing.promises import Pausing

if TYPE_CHECKING:
    from tidings.interfaces import PublishedMessageTracker
    from tidings.testing._making import MakeTracker

WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
FIRST = Pause("ada@host", "Größer ✓ 🎉: " + "x" * 70_000, WHEN)
SECOND = Pause("bob@host", None, WHEN + timedelta(minutes=1))


class PausePromises:
    """What holds for pauses, if the tracker keeps them."""

    capabilities: ClassVar[frozenset[Capability]]

    def test_a_pause_is_of_that_exchange_until_it_is_resumed(
        self, tracker: PublishedMessageTracker, new_tracker: MakeTracker
    ) -> None:
        need(self.capabilities, Capability.PAUSE)
        tracker.release_lease(tracker.acquire_lease("A", "one", LONG))
        is_new = tracker.pause("a", FIRST)
        check(is_new, Pausing.PAUSE, "The first pause of an exchange is not said to be new.")
        _expect(new_tracker(), {"a": FIRST, "A": None, "unknown": None})
        resumed = [tracker.resume("a") for _ in range(2)]
        check(resumed == [True, False], Pausing.RESUME, f"Resuming twice gave {resumed}.")
        check(tracker.resume("unknown") is False, Pausing.RESUME, "Nobody had paused 'unknown'.")
        _expect(new_tracker(), {"a": None, "A": None})
        tracker.pause("a", SECOND)
        _expect(tracker, {"a": SECOND})

    def test_exchanges_with_names_alike_share_no_pause(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.PAUSE)
        wanted: dict[str, Pause | None] = dict.fromkeys(NAMES)
        for name in NAMES:
            tracker.release_lease(tracker.acquire_lease(name, "one", LONG))
        for name in ("my-bc", "My-BC"):
            tracker.pause(name, SECOND)
            wanted[name] = SECOND
            _expect(tracker, wanted)
        tracker.resume("my-bc")
        wanted["my-bc"] = None
        _expect(tracker, wanted)

    def test_a_second_pause_changes_nothing(self, tracker: PublishedMessageTracker) -> None:
        need(self.capabilities, Capability.PAUSE)
        tracker.pause("a", FIRST)
        is_new = tracker.pause("a", SECOND)
        check(not is_new, Pausing.FIRST, "A second pause is said to be new.")
        _expect(tracker, {"a": FIRST})

    def test_a_pause_takes_no_lease_and_survives_a_replay(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.PAUSE)
        lease = tracker.acquire_lease("a", "one", LONG)
        tracker.pause("a", FIRST)
        tracker.track_most_recent_published_message("a", event(5), lease)
        expect_position(tracker, "a", 5, Pausing.LEASE)
        tracker.release_lease(lease)
        tracker.replay("a", 3)
        _expect(tracker, {"a": FIRST})


def _expect(tracker: PublishedMessageTracker, wanted: dict[str, Pause | None]) -> None:
    shown = {row.exchange_name: row.pause for row in tracker.tracked_exchanges()}
    names = tracker.paused_exchanges()
    for name, pause in wanted.items():
        found = {"paused": tracker.paused(name), "tracked_exchanges": shown.get(name)}
        for call, said in found.items():
            check(
                said == pause,
                Pausing.SURVIVES,
                f"Of exchange {name!r}, {call}() says {_brief(said)}, not {_brief(pause)}.",
            )
        check(
            (name in names) == (pause is not None),
            Pausing.NAMES,
            f"Exchange {name!r} is {'paused' if pause else 'not paused'}; paused_exchanges() names "
            f"{sorted(names)}.",
        )


def _brief(pause: Pause | None) -> tuple[str, str | None] | None:
    return pause and (pause.paused_by, pause.reason and pause.reason[:40])
