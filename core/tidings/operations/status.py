"""How far each exchange has got, and what is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tidings.blame import sentence_of
from tidings.interfaces import Capability
from tidings.operations.state import State, state_of, unread
from tidings.relay.lag import lag
from tidings.relay.reports import passed_unmatched
from tidings.shown import shown_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.bootstrap import Tidings
    from tidings.interfaces import EventStore, ExchangeState, TrackedExchange


@dataclass(frozen=True, slots=True)
class Status:
    """One exchange's, as `tidings status --json` shows it."""

    exchange: str
    producer: str
    state: ExchangeState
    last_published_id: int | None
    newest_event_id: int | None
    events_behind: int | None
    events_behind_is_exact: bool
    seconds_behind: float | None
    relay: str | None
    standbys: Sequence[str]
    problem: dict[str, Any] | None
    hold: dict[str, Any] | None
    stopped_by: dict[str, Any] | None
    quarantined: int
    passed_unmatched: int


def statuses(tidings: Tidings) -> list[tuple[Status, State]]:
    """Return how each configured exchange is, by event store and tracker; no broker is asked."""
    tracked = {row.exchange_name: row for row in tidings.tracker.tracked_exchanges()}
    quarantined = _quarantined(tidings)
    found = []
    for name, exchange in tidings.configuration.exchanges.items():
        try:
            with closing(tidings.event_store(name)) as store:
                store.check()
                found.append(_status(tidings, store, name, tracked.get(name), quarantined[name]))
        except Exception as error:
            if exchange.source is None:
                raise
            # A source of its own: the other exchanges can be told of all the same.
            found.append(
                _unread(exchange.producer, name, tracked.get(name), error, quarantined[name])
            )
    return found


def status_json(found: Sequence[tuple[Status, State]]) -> str:
    """Return that as JSON, for scripts."""
    value = {"exchanges": [asdict(row) for row, _ in found]}
    return shown_json(json.dumps(value, ensure_ascii=False, indent=2))


def _quarantined(tidings: Tidings) -> Counter[str]:
    tracker = tidings.tracker
    if Capability.QUARANTINE not in tracker.capabilities:
        return Counter()
    return Counter(tracker.count_quarantined())


def _status(
    tidings: Tidings,
    store: EventStore,
    name: str,
    row: TrackedExchange | None,
    quarantined: int,
) -> tuple[Status, State]:
    position = row.position.event_id if row else 0
    behind = lag(store, position)
    hold = behind.hold
    state = state_of(store, row, hold)
    exchange = tidings.configuration.exchange(name)
    shown = Status(
        exchange=name,
        producer=exchange.producer,
        state=state.word,
        last_published_id=position or None,
        newest_event_id=behind.newest_event_id,
        events_behind=behind.events,
        events_behind_is_exact=behind.is_exact,
        seconds_behind=round(behind.seconds, 3),
        relay=state.relay,
        standbys=state.standbys,
        problem=_problem(state),
        hold=hold._asdict() if hold else None,
        stopped_by=_stopped_by(row),
        quarantined=quarantined,
        passed_unmatched=passed_unmatched(store, exchange.events, position),
    )
    return shown, state


def _unread(
    producer: str, name: str, row: TrackedExchange | None, error: Exception, quarantined: int
) -> tuple[Status, State]:
    """Return what can be said of an exchange whose source cannot be read: what the tracker says."""
    state = unread(row, sentence_of(error))
    shown = Status(
        exchange=name,
        producer=producer,
        state=state.word,
        last_published_id=(row.position.event_id or None) if row else None,
        newest_event_id=None,
        events_behind=None,
        events_behind_is_exact=False,
        seconds_behind=None,
        relay=state.relay,
        standbys=state.standbys,
        problem=_problem(state),
        hold=None,
        stopped_by=_stopped_by(row),
        quarantined=quarantined,
        passed_unmatched=0,
    )
    return shown, state


def _problem(state: State) -> dict[str, Any] | None:
    if state.reason is None:
        return None
    times = {"since": state.since, "next_try": state.next_try}
    return {"reason": state.reason} | {
        name: None if when is None else when.isoformat(timespec="seconds")
        for name, when in times.items()
    }


def _stopped_by(row: TrackedExchange | None) -> dict[str, Any] | None:
    if row is None or row.stop is None:
        return None
    stop = row.stop
    when = stop.stopped_on.isoformat(timespec="seconds")
    return {"event_id": stop.event_id, "reason": stop.reason, "stopped_on": when}
