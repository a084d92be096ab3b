"""One reader of an event store for all exchanges of a process that have their events from it.

A hundred exchanges near the head want the same few events. So what one of them has read is kept for
a moment, and the others get it from memory. While any of them has nothing to send, one thread polls
the store for all of them.

Which events may be given, and that none comes later below them, is proved where it always is: by
the event store's own read. Nothing else is kept of it than the answer.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar

from typing_extensions import override

from tidings.event import MAX_EVENT_ID
from tidings.interfaces import Waited
from tidings.relay.answer import NOTHING, Answer, ask
from tidings.relay.poller import Poller, Waiters
from tidings.relay.shared_answers import FoundEvent, Kept, Quiet, Told, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.event import StoredEvent
    from tidings.interfaces import EventStore

Result = TypeVar("Result")

KEPT_SECONDS = 1.0
KEPT_BYTES = 16 * 2**20
WATCH_SECONDS = 1.0
"""How old an answer of ``watch`` may be that stands for all exchanges."""
QUIET_SECONDS = 0.25
"""How old a poll may be that found nothing, if it stands for another look."""
LOOK_SECONDS = 1.0
"""How old a look at the event at a position may be that stands for another one."""
_OVERHEAD = 400
"""About how many bytes an event takes beside its body and metadata."""


class SharedReader(Waiters):
    """Reads one event store for all its views: :class:`~tidings.relay.shared_store.SharedStore` s.

    It has two connections at the most: one to read on, by turns, and one to poll on, while nobody
    has anything to send. Both are given back when the last view is closed.

    **Threads.** Every method may be called from any thread.
    """

    def __init__(self, make_store: Callable[[], EventStore], poll_seconds: float) -> None:
        """Take what makes a store, which must connect only when it is used."""
        self.store = make_store()
        """The one that is read, by who has :attr:`turn`."""
        self.turn = threading.Lock()
        self._make_store = make_store
        self._poll_seconds = poll_seconds
        self._changed = threading.Condition()
        """Guards all below; never held while the database is waited for. The poller waits on it."""
        self._views: set[object] = set()
        self._waiting: dict[object, Waiting] = {}
        self._interrupted: set[object] = set()
        self._kept: OrderedDict[int, Kept] = OrderedDict()
        self._kept_bytes = 0
        self._poller: Poller | None = None
        self._forgot = 0.0
        self._watched: float | None = None
        self._quiet: Quiet | None = None
        self._look: FoundEvent | None = None
        self._told: dict[str, Told] = {}
        """By what was asked; guarded by :attr:`turn`."""

    def enter(self, view: object) -> None:
        """Count a view as in use."""
        if view not in self._views:
            with self._changed:
                self._views.add(view)
                self._interrupted.discard(view)

    def leave(self, view: object) -> None:
        """Count it no longer. The last one ends the poller, and gives back the connections."""
        with self._changed:
            self._views.discard(view)
            self._waiting.pop(view, None)
            if self._views:
                return
            self._forget()
            poller, self._poller = self._poller, None
            self._changed.notify_all()
        if poller is not None:
            poller.end()
        with self.turn:
            self.store.close()

    def share(
        self, what: str, ask_store: Callable[[EventStore], Result], not_before: float
    ) -> Result:
        """Return what the store tells of itself, by a question that did not begin before that.

        So one answer is for all who wait for their turn meanwhile, as when a relay starts.
        """
        with self.turn:
            told = self._told.pop(what, None)
            if told is None or told.begun < not_before:
                begun = time.monotonic()
                told = Told(ask_store(self.store), begun)
            self._told[what] = told
        answer: Result = told.answer
        return answer

    def read(self, since: int, limit: int, not_before: float) -> Answer:
        """Return up to ``limit`` events after an id, and what holds them up if there are none.

        None that were read before that moment.
        """
        asked = time.monotonic()
        if (kept := self._find(since, asked, not_before)) is not None:
            return _first(kept, limit)
        with self.turn:
            # Another exchange may have asked the same meanwhile.
            if (kept := self._find(since, asked, not_before)) is not None:
                return _first(kept, limit)
            begun = time.monotonic()
            try:
                answer = ask(self.store, since, limit)
            except BaseException:
                with self._changed:
                    self._forget()
                raise
        self._keep(since, answer, begun)
        return answer

    def watch(self) -> None:
        """Ask the store whether it is still as it was, once a second for all."""
        with self.turn:
            if self._watched is None or time.monotonic() - self._watched >= WATCH_SECONDS:
                self._watched = None
                self.store.watch()
                self._watched = time.monotonic()

    def look_at(self, event_id: int, not_before: float) -> StoredEvent | None:
        """Return an event as it was a second ago at most, and not before that moment."""
        if (look := self._recent_look(event_id, not_before)) is not None:
            return look.event
        with self.turn:
            if (look := self._recent_look(event_id, not_before)) is not None:
                return look.event
            begun = time.monotonic()
            look = FoundEvent(self.store.stored_event(event_id), event_id, begun)
        with self._changed:
            self._look = look if begun >= self._forgot else None
        return look.event

    def _recent_look(self, event_id: int, not_before: float) -> FoundEvent | None:
        with self._changed:
            look = self._look
        if look is None or look.event_id != event_id or look.begun < not_before:
            return None
        return look if time.monotonic() - look.begun <= LOOK_SECONDS else None

    def wait(self, view: object, since: int, limit: int, seconds: float) -> Waited:
        """Wait until there is something behind ``since``, or the store has failed."""
        waiting = Waiting(since, limit, threading.Event())
        with self._changed:
            if view in self._interrupted or self._has_events(since):
                return Waited.MAY_BE_NEW
            if self._poller is None:
                self._poller = Poller(self, self._make_store, self._poll_seconds)
            self._waiting[view] = waiting
            self._changed.notify()
        came = waiting.came.wait(seconds)
        with self._changed:
            self._waiting.pop(view, None)
        return Waited.MAY_BE_NEW if came else Waited.TIME_IS_UP

    def interrupt(self, view: object) -> None:
        """End the view's :meth:`wait`, and each that it begins before it is closed."""
        with self._changed:
            self._interrupted.add(view)
            if (waiting := self._waiting.get(view)) is not None:
                waiting.came.set()

    @override
    def wanted(self, poller: Poller) -> tuple[int, int] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._poller is not poller)
            if self._poller is not poller:
                return None
            return min((each.since, each.limit) for each in self._waiting.values())

    @override
    def polled(self, since: int, answer: Answer, begun: float) -> None:
        self._keep(since, answer, begun, polled=True)
        if answer.events:
            self._wake(answer.events[-1].event_id)

    @override
    def still_quiet(self) -> None:
        with self._changed:
            if self._quiet is not None:
                self._quiet = self._quiet._replace(begun=time.monotonic())

    @override
    def failed(self) -> None:
        with self._changed:
            self._forget()
        self._wake(MAX_EVENT_ID)

    def _wake(self, up_to: int) -> None:
        """Let those go who wait for an event up to that one."""
        with self._changed:
            for each in self._waiting.values():
                if each.since < up_to:
                    each.came.set()

    def _find(self, since: int, asked: float, not_before: float) -> Answer | None:
        with self._changed:
            kept, quiet = self._kept.get(since), self._quiet
        if kept is not None and kept.begun >= not_before:
            # That there was nothing may no longer be so. What there was, is.
            lasts = KEPT_SECONDS if kept.answer.events else 0.0
            if asked - kept.begun <= lasts:
                return kept.answer
        if quiet is None or since < quiet.since or quiet.polled < not_before:
            return None
        return NOTHING if asked - quiet.begun <= QUIET_SECONDS else None

    def _has_events(self, since: int) -> bool:
        kept = self._kept.get(since)
        return kept is not None and bool(
            kept.answer.events and time.monotonic() - kept.begun <= KEPT_SECONDS
        )

    def _keep(self, since: int, answer: Answer, begun: float, *, polled: bool = False) -> None:
        with self._changed:
            if answer.events or answer.hold is not None:
                self._quiet = None
            if begun < self._forgot:
                return
            # Who no longer waits there has had events meanwhile, perhaps after the poll began.
            if polled and not answer.events and answer.hold is None and self._is_awaited(since):
                self._quiet = Quiet(since, begun, begun)
            if len(self._views) < 2 and not polled:  # noqa: PLR2004 - nobody else would ask
                return
            self._drop(since)
            size = sum(_size(event) for event in answer.events)
            self._kept[since] = Kept(answer, begun, size)
            self._kept_bytes += size
            while len(self._kept) > 1 and (self._kept_bytes > KEPT_BYTES or self._is_old(begun)):
                self._drop(next(iter(self._kept)))

    def _is_awaited(self, since: int) -> bool:
        return any(each.since == since for each in self._waiting.values())

    def _is_old(self, now: float) -> bool:
        return now - next(iter(self._kept.values())).begun > KEPT_SECONDS

    def _drop(self, since: int) -> None:
        if (kept := self._kept.pop(since, None)) is not None:
            self._kept_bytes -= kept.size

    def _forget(self) -> None:
        self._forgot = time.monotonic()
        self._kept.clear()
        self._kept_bytes = 0
        self._quiet = self._look = None


def _first(answer: Answer, limit: int) -> Answer:
    return answer._replace(events=answer.events[:limit])


def _size(event: StoredEvent) -> int:
    return len(event.body) + len(event.metadata or "") + _OVERHEAD
