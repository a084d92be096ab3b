"""Writes into the journal from a thread of its own, so that nobody waits for it."""

from __future__ import annotations

import threading
from collections import deque
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from tidings.blame import sentence_of
from tidings.defaults import JOURNAL_DAYS, JOURNAL_ENTRIES
from tidings.interfaces import Capability
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import JournalEntry, PublishedMessageTracker

log = escaping_logger(__name__)

MOST_WAITING = 1000
TRY_AGAIN = 10.0


class JournalBounds(NamedTuple):
    """How much a journal holds."""

    most: int = JOURNAL_ENTRIES
    """Entries, about all exchanges; 0: nothing is noted."""
    days: float = JOURNAL_DAYS


class _Noted(NamedTuple):
    tracker: PublishedMessageTracker
    bounds: JournalBounds
    entry: JournalEntry


class JournalWriter:
    """Writes what is noted into the journals of trackers.

    What cannot be written just now is kept, a thousand entries at most, and tried again. Then the
    oldest are let go of. A tracker without a journal is given nothing.

    **Threads.** Anybody may note, from any thread, and never waits. The thread that writes begins
    with the first entry.

    **Errors.** None: what cannot be written is told of in the log, and in :attr:`failure`.
    """

    def __init__(self) -> None:
        self.failure: str | None = None
        """Why what is noted cannot be written, as a sentence; ``None``: nothing is known of it."""
        self._lock = threading.Lock()
        self._waiting: deque[_Noted] = deque(maxlen=MOST_WAITING)
        self._news = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: set[str] = set()

    def note(
        self, tracker: PublishedMessageTracker, bounds: JournalBounds, entry: JournalEntry
    ) -> None:
        """Let the entry be written, soon."""
        if Capability.JOURNAL not in tracker.capabilities or not bounds.most:
            return
        with self._lock:
            self._waiting.append(_Noted(tracker, bounds, entry))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._write_all, name="tidings-journal", daemon=True
                )
                self._thread.start()
        self._news.set()

    def close(self, seconds: float) -> bool:
        """Write what is left, but for no longer than that; return whether all of it was."""
        self._over.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join(seconds)
            return not self._thread.is_alive() and not self._waiting
        return True

    def _write_all(self) -> None:
        while not self._over.is_set():
            self._news.wait()
            self._news.clear()
            if not self._write_some():
                self._over.wait(TRY_AGAIN)
                self._news.set()
        self._write_some()

    def _write_some(self) -> bool:
        """Write what there is; return whether it could be written, or there was nothing."""
        with self._lock:
            noted = list(self._waiting)
            self._waiting.clear()
        for tracker, of_it in groupby(noted, lambda each: each.tracker):
            entries = list(of_it)
            try:
                self._write(tracker, entries)
            except Exception as error:  # noqa: BLE001 - nothing depends on it
                self._failed(error, noted[noted.index(entries[0]) :])
                return False
        return True

    def _write(self, tracker: PublishedMessageTracker, noted: Sequence[_Noted]) -> None:
        bounds = noted[0].bounds
        tracker.write_journal(
            [each.entry for each in noted],
            most=bounds.most,
            longest=timedelta(days=bounds.days),
        )
        self.failure = None
        self._told.clear()

    def _failed(self, error: Exception, left: Sequence[_Noted]) -> None:
        with self._lock:  # in front of what came meanwhile, as far as there is room
            kept = [*left, *self._waiting]
            self._waiting.clear()
            self._waiting.extend(kept)
        self.failure = sentence_of(error)
        if self.failure not in self._told:
            self._told.add(self.failure)
            log.warning("The journal cannot be written; deliveries go on. %s", self.failure)
