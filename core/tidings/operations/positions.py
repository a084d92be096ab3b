"""Moving positions, and deleting what every exchange has had."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tidings.errors import (
    NotYetStoredError,
    PositionMismatchError,
    StoreNotReadyError,
    TidingsError,
    UnreadableEventError,
)
from tidings.event import MAX_EVENT_ID
from tidings.operations.journal import note
from tidings.relay.lag import MOST_COUNTED, counted
from tidings.relay.position_check import Anchor
from tidings.relay.reports import describe_gone
from tidings.relay.retention import Pruned
from tidings.relay.retention import prune as prune_store

if TYPE_CHECKING:
    from datetime import timedelta

    from tidings.bootstrap import Tidings
    from tidings.interfaces import EventStore, Hold, TrackedExchange


@dataclass(frozen=True, slots=True)
class Replayed:
    """Where an exchange goes on, and what that means."""

    had: int | None
    """Up to which event of this store it had got; ``None``: it could not be told."""
    after: int
    """Behind which event it goes on."""
    count: int
    """How many events it gets; not counted further than one more than ``MOST_COUNTED``."""
    passed: int
    """How many it was never sent, and passes; if ``had`` is ``None``, may pass. Likewise."""
    newest: int
    """The newest event stored; 0: none is."""
    gone: str | None
    """What is asked for and no longer stored, as a sentence."""
    awaited: Hold | None = None
    """What may still commit an event that it passes, which is in no count."""


def replay(tidings: Tidings, exchange_name: str, after: int, *, skip: bool) -> Replayed:
    """Let one exchange have every event after ``after`` again.

    Raises, with nothing changed, if it would pass events that were never sent, and ``skip`` does
    not say so.
    """
    tracker = tidings.exchange_tracker(exchange_name)
    with closing(tidings.event_store(exchange_name)) as store:
        store.check()
        row = tracker.tracked_exchange(exchange_name)
        found = _look(store, row, after)
        if (found.passed > 0 or found.awaited is not None) and not skip:
            raise TidingsError(_refusal(exchange_name, found))
        generation = 0 if row is None else row.position.generation
        if not tracker.replay(exchange_name, after, generation=generation):
            raise TidingsError(
                f"Exchange {exchange_name!r} was replayed by somebody else at the same moment. "
                f"Nothing was changed. `tidings journal {exchange_name}` shows from where: say "
                "again from where it is to go on."
            )
        # Again: whoever was deleting events knew nothing of the replay until now. And an outbox
        # shows only now what it gives once more.
        count = max(found.count, _count(store, after))
        found = replace(found, count=count, gone=describe_gone(store, after))
    before = "" if found.had is None else f"; it had got to {found.had}"
    note(tidings, exchange_name, "replayed", f"from event {after + 1} on{before}")
    return found


def prune(
    tidings: Tidings,
    store: EventStore,
    *,
    older_than: timedelta | None,
    keep: int | None,
    dry_run: bool,
) -> Pruned:
    """Delete from the event store what every exchange has had, as ``retention.prune`` does.

    Those count that read this store, by whatever name their source has.
    """
    here = {name: _reads(tidings, name, store) for name in tidings.configuration.exchanges}
    pruned = prune_store(
        store,
        tidings.tracker,
        [name for name, is_read in here.items() if is_read],
        elsewhere=[name for name, is_read in here.items() if not is_read],
        older_than=older_than,
        keep=keep,
        dry_run=dry_run,
    )
    if pruned.events and not dry_run:
        lacking = "".join(f"; {name} was replayed meanwhile" for name in pruned.set_back)
        note(tidings, "", "pruned", f"{pruned.events} event(s){lacking}")
    return pruned


def _reads(tidings: Tidings, exchange_name: str, store: EventStore) -> bool:
    """Return whether the exchange has its events from that store."""
    if tidings.configuration.exchange(exchange_name).source is None:
        return True
    with closing(tidings.event_store(exchange_name)) as source:
        try:
            identity = source.identity()
        except StoreNotReadyError:  # this one is ready
            return False
    return bool(identity) and identity == store.identity()


def _look(store: EventStore, row: TrackedExchange | None, after: int) -> Replayed:
    had = _had(store, row)
    passed = _count(store, had or 0, after)
    newest = store.newest_event_id() or 0
    count = _count(store, after)
    awaited = None if had is None or passed else _hold_up_to(store, had, after)
    return Replayed(had, after, count, passed, newest, describe_gone(store, after), awaited)


def _hold_up_to(store: EventStore, since: int, last: int) -> Hold | None:
    """Return who may still commit the first event after ``since``, with an id up to ``last``."""
    try:
        store.all_stored_events_since(since, 1)
    except UnreadableEventError:
        return None
    hold = store.hold()
    return hold if hold is not None and hold.missing_id <= last else None


def _count(store: EventStore, after: int, up_to: int = MAX_EVENT_ID) -> int:
    return store.count_stored_events_between(after, up_to, MOST_COUNTED + 1)


def _had(store: EventStore, row: TrackedExchange | None) -> int | None:
    """Return up to which event of this store the exchange has got; ``None``: it cannot be told."""
    if row is None:
        return 0
    try:
        Anchor(store, row).check()
    except NotYetStoredError:
        pass  # a replay passed what is here, and said so
    except PositionMismatchError:
        return None
    return row.position.event_id


def _refusal(name: str, found: Replayed) -> str:
    if found.had is None:
        why = (
            f"Exchange {name!r} has a position that is not one of this event store: of "
            f"{counted(found.passed)} event(s) before event {found.after + 1} nothing says that it "
            "was sent them."
        )
    elif found.awaited is not None:
        why = (
            f"Exchange {name!r} has had events up to {found.had}: going on from "
            f"{found.after + 1} would pass event {found.awaited.missing_id}, which "
            f"{found.awaited.holder} may still commit."
        )
    else:
        why = (
            f"Exchange {name!r} has had events up to {found.had}: going on from "
            f"{found.after + 1} would pass {counted(found.passed)} event(s) that it was "
            "never sent."
        )
    return f"{why} Nothing was changed. If they are not to be sent, say so with --skip."
