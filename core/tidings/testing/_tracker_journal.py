"""What a tracker keeps of what happened."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from tidings.interfaces import Capability, JournalEntry
from tidings.testing._capabilities import need
from tidings.testing._judging import check
from tidings.testing._tracker_position import NAMES
from tidings.testing.promises import Journaling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import PublishedMessageTracker
    from tidings.testing._making import MakeTracker

MOST, FEW = 1000, 4
LONGEST = timedelta(days=1000)
DETAIL = "Exchange 'a': 'refused' [größer ✓ 🎉]; 100 % of it " + "x" * 70_000
WRITERS, OF_EACH = 4, 5


class JournalPromises:
    """What holds for what happened, if the tracker keeps a journal."""

    capabilities: ClassVar[frozenset[Capability]]

    def test_what_happened_is_kept_as_it_was_told(
        self, tracker: PublishedMessageTracker, new_tracker: MakeTracker
    ) -> None:
        need(self.capabilities, Capability.JOURNAL)
        entries = [_entry("a", 3), _entry("A", 2, detail=None), _entry("", 1, detail=DETAIL)]
        _write(tracker, entries)
        found = list(new_tracker().journal())
        plain = [entry._replace(entry_id=0) for entry in found]
        check(
            plain == entries, Journaling.WRITE, f"It holds {_brief(found)}, not {_brief(entries)}."
        )
        ids = [entry.entry_id for entry in found]
        check(
            ids == sorted(set(ids)) and ids[0] > 0, Journaling.IDS, f"Three entries have ids {ids}."
        )

    def test_entries_are_found_by_exchange_time_and_id(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.JOURNAL)
        check(
            list(tracker.journal()) == [], Journaling.READ, "A new tracker's journal is not empty."
        )
        _write(tracker, [_entry(name, hours) for hours in (3, 2, 1) for name in ("a", "b")])
        every = list(tracker.journal())
        of_a = [entry for entry in every if entry.exchange_name == "a"]
        _expect(tracker.journal("a"), of_a)
        _expect(tracker.journal("A"), [])
        _expect(tracker.journal(limit=4), every[2:])
        _expect(tracker.journal("a", limit=1), of_a[-1:])
        _expect(tracker.journal(since=of_a[1].noted_on), every[2:])
        _expect(tracker.journal(after=every[3].entry_id), every[4:])
        _expect(tracker.journal("b", since=every[3].noted_on, after=every[3].entry_id), every[5:])

    def test_exchanges_with_names_alike_share_no_journal(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.JOURNAL)
        _write(tracker, [_entry(name, hours) for hours, name in enumerate(NAMES)])
        every = list(tracker.journal())
        for name in NAMES:
            _expect(tracker.journal(name), [each for each in every if each.exchange_name == name])

    def test_not_more_than_so_many_are_kept(self, tracker: PublishedMessageTracker) -> None:
        need(self.capabilities, Capability.JOURNAL)
        for hours in range(9, 0, -1):
            tracker.write_journal([_entry("a", hours)], most=FEW, longest=LONGEST)
            newest = tracker.journal()[-1].noted_on
            check(
                newest == _entry("a", hours).noted_on, Journaling.BOUND, "The newest was not kept."
            )
        left = len(tracker.journal())
        check(
            1 <= left <= FEW, Journaling.BOUND, f"At most 4 of 9 were to be kept; there are {left}."
        )

    def test_none_is_kept_that_is_too_old(self, tracker: PublishedMessageTracker) -> None:
        need(self.capabilities, Capability.JOURNAL)
        _write(tracker, [_entry("a", 50), _entry("b", 40), _entry("a", 1)])
        tracker.write_journal([_entry("a", 0)], most=MOST, longest=timedelta(hours=30))
        hours = [entry.what for entry in tracker.journal()]
        check(hours == ["1", "0"], Journaling.BOUND, f"None was to be older than 30 h: {hours}.")

    def test_several_write_at_once_and_every_entry_is_kept(
        self, tracker: PublishedMessageTracker
    ) -> None:
        need(self.capabilities, Capability.JOURNAL)

        def write(name: str) -> None:
            for hours in range(OF_EACH):
                _write(tracker, [_entry(name, hours)])

        names = [f"exchange-{number}" for number in range(WRITERS)]
        with ThreadPoolExecutor(WRITERS) as threads:
            list(threads.map(write, names))
        counts = [len(tracker.journal(name)) for name in names]
        check(counts == [OF_EACH] * WRITERS, Journaling.THREADS, f"Each wrote {OF_EACH}: {counts}.")


def _entry(exchange_name: str, hours: int, detail: str | None = "why") -> JournalEntry:
    """Return an entry of so many hours ago, which names them."""
    when = _NOW - timedelta(hours=hours)
    return JournalEntry(exchange_name, str(hours), "somebody", detail, when, repeated=hours)


_NOW = datetime.now(UTC)


def _write(tracker: PublishedMessageTracker, entries: Sequence[JournalEntry]) -> None:
    tracker.write_journal(entries, most=MOST, longest=LONGEST)


def _expect(found: Sequence[JournalEntry], wanted: Sequence[JournalEntry]) -> None:
    check(
        list(found) == list(wanted),
        Journaling.READ,
        f"It gave {_brief(found)}, not {_brief(wanted)}.",
    )


def _brief(entries: Sequence[JournalEntry]) -> list[tuple[str, str, str | None]]:
    return [(e.exchange_name, e.what, e.detail and e.detail[:40]) for e in entries]
