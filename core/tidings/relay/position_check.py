"""Whether the tracked position is one of this event store, at the start and all the while."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeGuard

from tidings.errors import NotYetStoredError, PositionMismatchError, UnreadableEventError
from tidings.event import UNREADABLE_TIME
from tidings.interfaces import fingerprint, fingerprint_of
from tidings.relay.shared_store import look_at

if TYPE_CHECKING:
    from tidings.event import StoredEvent
    from tidings.interfaces import EventStore, Lease, TrackedExchange

LOOK_AGAIN = 2.0
"""Seconds after which a relay looks again whether the store is still the one it was."""

_SAME_TIME = timedelta(seconds=1)
"""Databases compare times more coarsely than we do."""

LET_IDS_BEGIN_ABOVE = (
    "If it was restored, first let its ids begin above all that were sent: subscribers take a new "
    "event under an old id for the one that they have had. "
)


class Anchor:
    """The event at the position, which shows that the event store is still the same one.

    A database that was restored, truncated or exchanged gives its ids out again, also under a
    running relay. To go on behind the position would pass those events. So the event at the
    position is looked at, by its key. That is done when the lease was taken, before the position
    moves beyond it (once for each batch), and every two seconds. One that was pruned is fine.
    """

    def __init__(self, store: EventStore, lease: Lease | TrackedExchange) -> None:
        self._store = store
        self._exchange_name = lease.exchange_name
        self._event_id = lease.position.event_id
        self.mark = lease.fingerprint
        """What is known of the event; ``None``: nothing."""
        self._seen: tuple[str, datetime] | None = None
        """What a fingerprint is made of, of the event that was found to be the same last time."""
        self._looked = time.monotonic()

    def check(self) -> None:
        """Raise :class:`~tidings.errors.PositionMismatchError` if the store is another now."""
        if not self._event_id:
            return
        try:
            event = look_at(self._store, self._event_id)
        except UnreadableEventError:
            return  # it is there, and tells nothing
        if event is not None:
            seen = event.type_name, event.occurred_on
            if seen != self._seen:
                self._compare(fingerprint(event))
                self._seen = seen
            return
        newest = self._store.newest_event_id()
        if newest is None or newest < self._event_id:  # pruning always leaves the newest event
            stands = "is empty" if newest is None else f"ends with event {newest}"
            if self.mark is None:  # what was sent leaves its mark, a replay none
                raise NotYetStoredError(
                    f"Exchange {self._exchange_name!r} waits for event {self._event_id + 1}, as a "
                    f"replay said; the event store {stands}. What is recorded before that one is "
                    "not sent: see that ids go on there, or replay from an earlier one."
                )
            raise PositionMismatchError(
                f"Exchange {self._exchange_name!r} has had event {self._event_id}, but the event "
                f"store {stands}. {self._advice}"
            )
        self._refuse_older_ones()

    def check_again(self) -> None:
        """Check that, and whatever else the store can see of itself, if it is due again."""
        if self.watch_again():
            self.check()

    def watch_again(self) -> bool:
        """Let the store look at whatever else it can see of itself; return whether that was due."""
        if time.monotonic() - self._looked < LOOK_AGAIN:
            return False
        self._looked = time.monotonic()
        self._store.watch()
        return True

    def move(self, event: StoredEvent) -> None:
        """Look at that event from now on: the position is there.

        Without a type name, only the time is looked at.
        """
        self._event_id, self.mark, self._seen = event.event_id, fingerprint(event), None

    def stand_at(self, event_id: int, mark: str | None = None) -> None:
        """Look at the event of that id from now on, of which no more than ``mark`` is known."""
        self._event_id, self.mark, self._seen = event_id, mark, None

    def _refuse_older_ones(self) -> None:
        """Raise if the event is not there, and an older one before it is.

        Pruning takes the oldest: by id, or by the time when they occurred. A store that was
        restored may have a hole at that very id, which a rollback has left.
        """
        oldest = self._store.oldest_event_id()
        if not _tells(self.mark) or oldest is None or oldest >= self._event_id:
            return
        occurred_on = _occurred_on(self.mark)
        try:
            event = self._store.stored_event(oldest)
        except UnreadableEventError:
            return
        if event and occurred_on and occurred_on - event.occurred_on > _SAME_TIME:
            raise PositionMismatchError(
                f"Exchange {self._exchange_name!r} has had event {self._event_id}, "
                f"{readable(self.mark)!r}; the event store does not have it, though it has older "
                f"ones: nothing was pruned there. {self._advice}"
            )

    def _compare(self, found: str) -> None:
        if not _tells(self.mark):
            self.mark = found
        if not _is_of_a_passed_event(self.mark, found) and found != self.mark:
            raise PositionMismatchError(
                f"Exchange {self._exchange_name!r} has had event {self._event_id}, which was "
                f"{readable(self.mark)!r}; the event store now has {readable(found)!r} under that "
                f"id. {self._advice}"
            )

    @property
    def _advice(self) -> str:
        return (
            f"It was restored or truncated, or it is another one. {LET_IDS_BEGIN_ABOVE}Then say "
            f"from where to go on: `tidings replay {self._exchange_name} --from ID` (or --all)."
        )


def _tells(mark: str | None) -> TypeGuard[str]:
    """Return whether a position says which event it is of.

    Not after a replay, nor if that event could not be read: it may have been mended since.
    """
    return mark is not None and not mark.startswith(fingerprint_of("", UNREADABLE_TIME))


def _occurred_on(mark: str) -> datetime | None:
    """Return when the event of a fingerprint occurred; ``None`` if it is no fingerprint of ours."""
    try:
        when = mark.partition(" ")[0]
        return datetime.strptime(when, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_of_a_passed_event(mark: str, found: str) -> bool:
    """Return whether a position says only when its event occurred, and it is that event."""
    when, _, type_name = mark.partition(" ")
    return not type_name and when == found.partition(" ")[0]


def readable(mark: str) -> str:
    """Return a fingerprint as people read it."""
    when, _, type_name = mark.partition(" ")
    return f"{type_name or 'an event'} of {when}"
