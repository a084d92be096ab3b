"""Sends events again that are in quarantine, for those who asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.errors import NotAcceptedError, UndeliverableEventError, UnreadableEventError
from tidings.interfaces import Capability
from tidings.relay.route import unreadable
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import QuarantinedEvent
    from tidings.relay.route import Route
    from tidings.relay.run import Run

log = escaping_logger(__name__)

_NOT_YET = " (Not tried again: the exchange must publish a newer event first.)"


def can_retry(route: Route) -> bool:
    """Return whether events of this exchange can be in quarantine, and be sent again."""
    return route.keeps_quarantine and Capability.OUT_OF_ORDER in route.producer.capabilities


def retry(run: Run, on_each: Callable[[], None] = lambda: None) -> None:
    """Send the events that somebody asked for, in the order of their ids.

    ``on_each`` is called after each: there may be many, and all of them are one step.

    With the position where it is: what else the exchange has had, or is to have, doesn't change.
    Those that the broker accepts leave the quarantine; the others stay, with the new reason. A
    crash between the two sends an event once more.
    """
    tracker, name = run.route.tracker, run.route.exchange_name
    run.flush()
    run.reopen()
    with run.during_call():
        asked = tracker.quarantined_events(name, retry_asked=True)
    for event in asked:
        reason: str | None
        if run.broker_is_ahead:
            # What the broker remembers would now be this event, and what came last be sent
            # a second time after a crash.
            reason = event.reason.removesuffix(_NOT_YET) + _NOT_YET
        else:
            reason = _send(run, event)
        with run.during_call():
            tracker.note_retry(event.event_id, reason, run.lease)
        _tell(event, reason)
        on_each()
    run.reopen()


def _send(run: Run, quarantined: QuarantinedEvent) -> str | None:
    """Return ``None`` if the broker accepted the event, else why not."""
    try:
        with run.during_call():
            event = run.route.event_store.stored_event(quarantined.event_id)
    except UnreadableEventError as error:
        return str(unreadable(run.route.exchange_name, error))
    if event is None:
        return "It is no longer in the event store."
    try:
        run.send_alone(event)
    except (UndeliverableEventError, NotAcceptedError) as error:
        # Nothing waits for this event: it need not be tried until it works.
        run.reopen()
        return str(error)
    return None


def _tell(event: QuarantinedEvent, reason: str | None) -> None:
    if reason is None:
        log.info("%s: event %d left the quarantine", event.exchange_name, event.event_id)
    else:
        log.warning("%s: event %d stays in quarantine: %s", *event[:2], reason)
