"""Sends events again that are in quarantine, for those who asked for it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tidings.errors import UndeliverableEventError
from tidings.plugins.specs import Capability
from tidings.relay.exchange_relay import ExchangeRelay
from tidings.relay.owner import Owner

if TYPE_CHECKING:
    from tidings.interfaces import QuarantinedEvent
    from tidings.relay.route import Route

log = logging.getLogger(__name__)

_NOT_YET = " (Not tried again: the exchange must publish a newer event first.)"


def is_asked(route: Route) -> bool:
    """Return whether somebody wants an event of this exchange to be sent again."""
    quarantine = route.quarantine
    if quarantine is None or Capability.OUT_OF_ORDER not in route.capabilities:
        return False
    return bool(quarantine.quarantined_events(route.exchange_name, retry_asked=True))


def send_again(route: Route, owner: Owner | None = None) -> None:
    """Send the events that somebody asked for, in the order of their ids.

    Under the exchange's lease, and with the position where it is: what else the exchange has had,
    or is to have, doesn't change. Those that the broker accepts leave the quarantine; the others
    stay, with the new reason. A crash between the two sends an event once more.
    """
    quarantine = route.quarantine
    if quarantine is None or not is_asked(route):
        return
    relay = ExchangeRelay(route, owner or Owner())
    relay.start()
    try:
        for event in quarantine.quarantined_events(route.exchange_name, retry_asked=True):
            reason: str | None
            if relay.broker_is_ahead:
                # What the broker remembers would now be this event, and what came last be sent
                # a second time after a crash.
                reason = event.reason.removesuffix(_NOT_YET) + _NOT_YET
            else:
                reason = _send(relay, event)
            quarantine.settle_retry(event.event_id, reason, relay.lease)
            _tell(event, reason)
    finally:
        relay.stop()


def _send(relay: ExchangeRelay, quarantined: QuarantinedEvent) -> str | None:
    """Return ``None`` where the broker accepted the event, else why not."""
    event = relay.route.event_store.stored_event(quarantined.event_id)
    if event is None:
        return "It is no longer in the event store."
    try:
        relay.send_again(event)
    except UndeliverableEventError as error:
        relay.reopen()
        return str(error)
    return None


def _tell(event: QuarantinedEvent, reason: str | None) -> None:
    if reason is None:
        log.info("%s: event %d left the quarantine", event.exchange_name, event.event_id)
    else:
        log.warning("%s: event %d stays in quarantine: %s", *event[:2], reason)
