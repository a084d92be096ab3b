"""A tracker whose database is away."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from tidings.interfaces import Capability, JournalEntry, Pause
from tidings.testing._away import expect_unavailable
from tidings.testing._judging import check
from tidings.testing._tracker_idle import STANDBY
from tidings.testing._tracker_position import LONG, event, expect_position
from tidings.testing.promises import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces import Lease, PublishedMessageTracker
    from tidings.testing._making import MakeTracker
    from tidings.testing.proxy import Link


class TrackerAwayPromises:
    """What holds if the way to the database fails."""

    capabilities: ClassVar[frozenset[Capability]]
    patience: ClassVar[float]

    def test_making_it_connects_to_nothing(self, new_tracker: MakeTracker, link: Link) -> None:
        new_tracker(via=link.address)
        check(link.opened == 0, Tracker.LAZY, f"Making it opened {link.opened} connection(s).")

    def test_every_call_says_that_the_database_is_away(
        self,
        tracker: PublishedMessageTracker,
        new_tracker: MakeTracker,
        link: Link,
        secrets: Sequence[str],
    ) -> None:
        cut = new_tracker(via=link.address)
        lease = cut.acquire_lease("a", "one", LONG)
        cut.track_most_recent_published_message("a", event(5), lease)
        expect_unavailable(
            self._calls(cut, lease),
            cut.tracked_exchanges,
            link,
            patience=self.patience,
            secrets=secrets,
        )
        expect_position(tracker, "a", 5)
        tracker.renew_lease(lease)

    def _calls(
        self, tracker: PublishedMessageTracker, lease: Lease
    ) -> dict[str, Callable[[], Any]]:
        calls: dict[str, Callable[[], Any]] = {
            "most_recent_published_message_id()": lambda: tracker.most_recent_published_message_id(
                "a"
            ),
            "track_most_recent_published_message()": lambda: (
                tracker.track_most_recent_published_message("a", event(6), lease)
            ),
            "acquire_lease()": lambda: tracker.acquire_lease("a", "two", LONG),
            "renew_lease()": lambda: tracker.renew_lease(lease),
            "renew_leases()": lambda: tracker.renew_leases([lease]),
            "release_lease()": lambda: tracker.release_lease(lease),
            "replay()": lambda: tracker.replay("a", 0),
            "tracked_exchanges()": tracker.tracked_exchanges,
            "create()": tracker.create,
        }
        if Capability.NOTES in self.capabilities:
            calls |= {
                "note_stop()": lambda: tracker.note_stop(6, "why", lease),
                "note_idle()": lambda: tracker.note_idle("a", STANDBY, LONG),
                "forget_idle()": lambda: tracker.forget_idle("a", STANDBY.owner),
            }
        if Capability.QUARANTINE in self.capabilities:
            calls |= {
                "quarantine()": lambda: tracker.quarantine("a", event(6), "why", lease),
                "quarantined_events()": tracker.quarantined_events,
                "ask_to_retry()": lambda: tracker.ask_to_retry("a"),
                "note_retry()": lambda: tracker.note_retry(6, None, lease),
                "drop_quarantined()": lambda: tracker.drop_quarantined("a", 6),
            }
        if Capability.JOURNAL in self.capabilities:
            entries = [JournalEntry("a", "was paused", "ada", None, STANDBY.since)]
            calls |= {
                "write_journal()": lambda: tracker.write_journal(
                    entries, most=10, longest=timedelta(days=1)
                ),
                "journal()": tracker.journal,
            }
        if Capability.PAUSE in self.capabilities:
            calls |= {
                "pause()": lambda: tracker.pause("a", Pause("ada", None, STANDBY.since)),
                "resume()": lambda: tracker.resume("a"),
            }
        if Capability.SCHEMA in self.capabilities:
            calls["migrate()"] = tracker.migrate
            calls["migrate(dry_run=True)"] = lambda: tracker.migrate(dry_run=True)
        return calls
