"""All observers as one, each call guarded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tidings.interfaces import Observer
from tidings.relay.log_error import tell
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidings.event import StoredEvent
    from tidings.interfaces import AcceptedBatch, Exposition, Hold, Lease, ObservedRelay, Pause

log = escaping_logger(__name__)


class Observers(Observer):
    """Passes each call on to every observer; one that raises is logged and passed over."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = list(observers)

    def __bool__(self) -> bool:
        """Return whether there is an observer to be told anything."""
        return bool(self._observers)

    @override
    def attached(self, relay: ObservedRelay) -> None:
        self._tell("attached", relay)

    @override
    def exposition(self, accept: str) -> Exposition | None:
        """Return what the first one shows that has something."""
        for observer in self._observers:
            try:
                shown = observer.exposition(accept)
            except Exception as error:  # noqa: BLE001 - an observer stops nothing
                tell(log, _failed(observer, "exposition"), error)
                continue
            if shown is not None:
                return shown
        return None

    @override
    def started(self, exchange_name: str) -> None:
        self._tell("started", exchange_name)

    @override
    def ended(self, exchange_name: str, error: Exception | None) -> None:
        self._tell("ended", exchange_name, error)

    @override
    def lease_taken(self, exchange_name: str, lease: Lease) -> None:
        self._tell("lease_taken", exchange_name, lease)

    @override
    def lease_released(self, exchange_name: str) -> None:
        self._tell("lease_released", exchange_name)

    @override
    def lease_lost(self, exchange_name: str) -> None:
        self._tell("lease_lost", exchange_name)

    @override
    def sent(self, exchange_name: str, events: Sequence[StoredEvent]) -> None:
        self._tell("sent", exchange_name, events)

    @override
    def accepted(self, exchange_name: str, batch: AcceptedBatch) -> None:
        self._tell("accepted", exchange_name, batch)

    @override
    def published(self, exchange_name: str, count: int, last_event_id: int) -> None:
        self._tell("published", exchange_name, count, last_event_id)

    @override
    def unroutable(self, exchange_name: str, count: int) -> None:
        self._tell("unroutable", exchange_name, count)

    @override
    def spent(self, exchange_name: str, seconds: Mapping[str, float]) -> None:
        self._tell("spent", exchange_name, seconds)

    @override
    def idle(self, exchange_name: str) -> None:
        self._tell("idle", exchange_name)

    @override
    def held(self, exchange_name: str, hold: Hold) -> None:
        self._tell("held", exchange_name, hold)

    @override
    def no_longer_held(self, exchange_name: str, missing_id: int, seconds: float) -> None:
        self._tell("no_longer_held", exchange_name, missing_id, seconds)

    @override
    def quarantined(self, exchange_name: str, event_id: int, reason: str) -> None:
        self._tell("quarantined", exchange_name, event_id, reason)

    @override
    def failed(self, exchange_name: str, error: Exception, retry_in: float) -> None:
        self._tell("failed", exchange_name, error, retry_in)

    @override
    def recovered(self, exchange_name: str, seconds: float) -> None:
        self._tell("recovered", exchange_name, seconds)

    @override
    def paused(self, exchange_name: str, pause: Pause) -> None:
        self._tell("paused", exchange_name, pause)

    @override
    def resumed(self, exchange_name: str) -> None:
        self._tell("resumed", exchange_name)

    @override
    def standing_by(self, exchange_name: str, owner: str) -> None:
        self._tell("standing_by", exchange_name, owner)

    def _tell(self, what: str, *arguments: Any) -> None:
        for observer in self._observers:
            try:
                getattr(observer, what)(*arguments)
            except Exception as error:  # noqa: BLE001 - an observer stops nothing
                tell(log, _failed(observer, what), error)


def _failed(observer: Observer, what: str) -> str:
    return f"Observer {type(observer).__qualname__} failed in {what}."
