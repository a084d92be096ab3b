"""How an exchange is: one word for it, and what is wrong, since when, and when it is tried next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from tidings.errors import NotYetStoredError, PositionMismatchError
from tidings.relay.owner import is_gone
from tidings.relay.position_check import Anchor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import EventStore, ExchangeState, Hold, IdleRelay, TrackedExchange

BROKEN: Final[Sequence[ExchangeState]] = ("failing", "stopped", "mismatch")
"""The words for an exchange that sends nothing until somebody, or something, mends it."""


class State(NamedTuple):
    """What is to be said of an exchange."""

    word: ExchangeState
    reason: str | None = None
    since: datetime | None = None
    next_try: datetime | None = None
    relay: str | None = None
    """The process that carries the exchange, or tries to."""
    standbys: Sequence[str] = ()

    @property
    def is_broken(self) -> bool:
        """Return whether the exchange sends nothing until something changes."""
        return self.word in BROKEN

    def sentence(self) -> str | None:
        """Return the reason, since when, and when it is tried next."""
        if self.reason is None:
            return None
        times = []
        if self.since is not None:
            times.append(f"since {self.since:%Y-%m-%d %H:%M:%S} UTC")
        if self.next_try is not None:
            due = self.next_try <= datetime.now(UTC)
            times.append(f"{'tried' if due else 'next try'} {self.next_try:%H:%M:%S} UTC")
        when = f" ({', '.join(times)})" if times else ""
        return f"{self.word}{when}: {self.reason}"


def state_of(store: EventStore, row: TrackedExchange | None, hold: Hold | None) -> State:
    """Return how the exchange is, by its store and by what its relays have noted."""
    if row is None:
        return State("no relay")
    owner, alive = _alive(row)
    fail = [relay for relay in alive if relay.reason is not None]
    failing = next((relay for relay in fail if owner in (None, relay.owner)), None)
    if failing is None and fail and hold is None and _waits(store, row):
        # Another relay holds the exchange, and has not shown yet that it can what these cannot.
        failing = fail[0]
    if failing is not None:
        failing = failing._replace(since=min(relay.since for relay in fail))
    standbys = [relay.owner for relay in alive if relay.reason is None]
    if row.pause is not None:
        why = (
            f"by {row.pause.paused_by}: {row.pause.reason}"
            if row.pause.reason
            else (f"by {row.pause.paused_by}")
        )
        return State("paused", why, row.pause.paused_on, relay=owner, standbys=standbys)
    state = _wrong(store, row, failing) or State("working")
    trying = owner or (failing.owner if failing else None)
    if state.word == "working" and hold is not None:
        state = State("held")
    if state.word in ("working", "held") and trying is None:
        state = State("no relay")
    return state._replace(relay=trying, standbys=standbys)


def unread(row: TrackedExchange | None, reason: str) -> State:
    """Return how an exchange is whose source cannot be read, for that reason."""
    owner, alive = (None, []) if row is None else _alive(row)
    standbys = [relay.owner for relay in alive if relay.reason is None]
    return State("failing", reason, relay=owner, standbys=standbys)


def _alive(row: TrackedExchange) -> tuple[str | None, list[IdleRelay]]:
    """Return who relays the exchange, and who is idle, of those whose process may live."""
    owner = None if row.owner is None or is_gone(row.owner) else row.owner
    return owner, [relay for relay in row.idle if not is_gone(relay.owner)]


def _waits(store: EventStore, row: TrackedExchange) -> bool:
    return (store.newest_event_id() or 0) > row.position.event_id


def _wrong(store: EventStore, row: TrackedExchange, failing: IdleRelay | None) -> State | None:
    since = failing.since if failing else None
    next_try = failing.next_try if failing else None
    try:
        Anchor(store, row).check()
    except NotYetStoredError as waits:
        return State("waiting", str(waits), since)
    except PositionMismatchError as mismatch:
        return State("mismatch", str(mismatch), since, next_try)
    if row.stop is not None:
        return State("stopped", row.stop.reason, since or row.stop.stopped_on, next_try)
    if failing is not None:
        return State("failing", failing.reason, since, next_try)
    return None
