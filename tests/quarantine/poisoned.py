"""A broker in memory that refuses chosen events, in the ways in which real ones do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidings import InMemoryBroker, InMemoryMessageProducer, UndeliverableEventError
from tidings.errors import BrokerUnavailableError

if TYPE_CHECKING:
    from datetime import datetime

    from tidings import NotificationMessage, Position

AT_SEND, LATE, LATE_UNNAMED, AT_SEND_AND_CLOSED = "at send", "late", "late, unnamed", "closed"
WAYS = [AT_SEND, LATE, LATE_UNNAMED, AT_SEND_AND_CLOSED]


class PoisonedProducer(InMemoryMessageProducer):
    """Accepts nothing before the flush, or before `window` events wait; refuses some for ever.

    `ways` says for each poisonous id how it is refused: by its own `send` (the exchange stays
    usable, or fails with it), or later, when those before it have been accepted or, with
    `forgetful`, together with them.
    """

    def __init__(self, ways: dict[int, str], *, window: int = 4, forgetful: bool = False) -> None:
        super().__init__(InMemoryBroker())
        self.ways = ways
        self.opened = 0
        self._most = window
        self._forgetful = forgetful
        self._pending: list[tuple[Any, ...]] = []
        self._broken = False
        self._known: set[int] = set()

    def open(self, exchange_name: str, position: Position = None) -> None:  # type: ignore[assignment]
        super().open(exchange_name, position)
        self._pending, self._broken = [], False
        self.opened += 1

    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        self._check(exchange_name)
        way = self.ways.get(notification_id)
        if way == AT_SEND:
            raise undeliverable(exchange_name, notification_id)
        self._pending.append(
            (notification_message, notification_type, notification_id, notification_occurred_on)
        )
        if way == AT_SEND_AND_CLOSED or len(self._pending) >= self._most:
            self._accept_pending(exchange_name)

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        self._check(exchange_name)
        self._accept_pending(exchange_name)

    def _check(self, exchange_name: str) -> None:
        if self._broken:
            raise BrokerUnavailableError("given up; open it again", exchange_name=exchange_name)

    def _accept_pending(self, exchange_name: str) -> None:
        pending, self._pending = self._pending, []
        refused = next((each[2] for each in pending if each[2] in self.ways), None)
        if refused is not None:
            self._broken = True
        for each in pending:
            if refused is not None and (self._forgetful or each[2] >= refused):
                break
            super().send(exchange_name, *each)
        if refused is None:
            return
        unnamed = self.ways[refused] == LATE_UNNAMED and refused not in self._known
        self._known.add(refused)  # as ActiveMQ's producer, which then sends one by one
        raise undeliverable(exchange_name, None if unnamed else refused)


def undeliverable(exchange_name: str, event_id: int | None) -> UndeliverableEventError:
    return UndeliverableEventError(
        f"event {event_id} is too large", exchange_name=exchange_name, event_id=event_id
    )
