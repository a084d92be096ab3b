"""Deleting events that every exchange has had, in whatever event store."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tidings.errors import NotYetStoredError, UnreadableEventError
from tidings.interfaces import Capability
from tidings.relay.lag import MOST_COUNTED
from tidings.relay.position_check import Anchor

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tidings.interfaces import EventStore, PublishedMessageTracker, TrackedExchange


_LOOK = 1000


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted, or would be."""

    events: int
    """How many."""

    awaited_by: str | None
    """The exchange that is furthest behind, if it alone kept events from being deleted."""

    exchanges: tuple[str, ...]
    """All that were known, and so were waited for, by name."""

    set_back: tuple[str, ...] = ()
    """Those that were replayed while events were deleted, or began to run: they lack some of them.
    """


def prune(
    store: EventStore,
    tracker: PublishedMessageTracker,
    exchange_names: Collection[str],
    *,
    older_than: timedelta | None = None,
    keep: int | None = None,
    dry_run: bool = False,
    elsewhere: Collection[str] = (),
) -> Pruned:
    """Delete events that occurred longer ago than ``older_than``, or all but the newest ``keep``.

    Deletes only what every exchange has had. Those are the ones of ``exchange_names``, which are
    configured, and those that ``tracker`` knows; not those ``elsewhere``, which read another
    source. One that has no position yet has had nothing. The newest event always stays. The store
    must declare ``Capability.PRUNE``.

    Raises :class:`~tidings.errors.PositionMismatchError`, and deletes nothing, if a position is not
    one of this store. Such a one says nothing of what the exchange has had of these events.
    """
    if (older_than is None) == (keep is None):
        raise ValueError("Say either older_than or keep.")
    if keep is not None and keep < 0:
        raise ValueError(f"keep must not be negative, as {keep} is.")
    before = None if older_than is None else _now_less(older_than)

    def deleted(up_to: int, *, dry_run: bool) -> int:
        return store.prune(up_to, keep=keep or 1, occurred_before=before, dry_run=dry_run)

    tracked = [t for t in tracker.tracked_exchanges() if t.exchange_name not in elsewhere]
    for each in tracked:
        with suppress(NotYetStoredError):  # a replay passed what is here, and said so
            Anchor(store, each).check()
    positions = _positions(tracked, tracker, exchange_names, elsewhere)
    last_exchange = min(positions, key=lambda name: (positions[name], name), default=None)
    published = 0 if last_exchange is None else positions[last_exchange]
    awaited = _is_awaited(store, published, before, keep or 1)
    events = deleted(published, dry_run=dry_run)
    # Nothing keeps a replay from coming in between. If it comes after this look, its own look at
    # what is gone comes after the deletion: one of both tells of it.
    behind = (
        _behind(published, tracker, exchange_names, elsewhere) if events and not dry_run else []
    )
    return Pruned(
        events, last_exchange if awaited else None, tuple(sorted(positions)), tuple(behind)
    )


def _behind(
    published: int,
    tracker: PublishedMessageTracker,
    exchange_names: Collection[str],
    elsewhere: Collection[str],
) -> list[str]:
    """Return which exchanges stand, by now, below what every one of them was said to have had."""
    positions = _positions(tracker.tracked_exchanges(), tracker, exchange_names, elsewhere)
    return sorted(name for name, event_id in positions.items() if event_id < published)


def _is_awaited(store: EventStore, published: int, before: datetime | None, keep: int) -> bool:
    """Return whether there is more to delete behind what every exchange has had.

    By age: whether that is so of the next thousand, as the oldest are there. If more are kept than
    are worth counting, by ids.
    """
    newest = store.newest_event_id() or 0
    if before is None:
        if newest - published <= keep or keep > MOST_COUNTED:
            return newest - published > keep
        return store.count_stored_events_between(published, newest, keep + 1) > keep
    try:
        events = store.all_stored_events_since(published, _LOOK)
    except UnreadableEventError:
        return False
    return any(event.occurred_on < before and event.event_id < newest for event in events)


def _now_less(age: timedelta) -> datetime:
    try:
        return datetime.now(UTC) - age
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)  # nothing occurred before the first year of all


def _positions(
    tracked: Sequence[TrackedExchange],
    tracker: PublishedMessageTracker,
    exchange_names: Collection[str],
    elsewhere: Collection[str],
) -> dict[str, int]:
    """Return up to where each exchange has got."""
    positions = dict.fromkeys(exchange_names, 0)
    positions |= {t.exchange_name: t.position.event_id for t in tracked}
    if Capability.QUARANTINE in tracker.capabilities:
        for name, event_id, *_ in tracker.quarantined_events():
            # Of one whose position was deleted, because it is no longer used, that alone is left.
            positions[name] = min(positions.get(name, event_id - 1), event_id - 1)
    for name in elsewhere:
        positions.pop(name, None)
    return positions
