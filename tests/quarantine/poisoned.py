"""A broker in memory that refuses chosen events, in the ways in which real ones do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tests.relay.parts import PassingOn, X
from tidings import InMemoryBroker, InMemoryProducer, UndeliverableEventError
from tidings.errors import BrokerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.plugins import ExchangeContext, Notification, OpenExchange

AT_SEND, LATE, LATE_UNNAMED, AT_SEND_AND_CLOSED = "at send", "late", "late, unnamed", "closed"
WAYS = [AT_SEND, LATE, LATE_UNNAMED, AT_SEND_AND_CLOSED]


class PoisonedProducer(InMemoryProducer):
    """Accepts nothing before the flush, or before `window` events wait; refuses some for ever.

    `ways` says for each poisonous id how it is refused. That is by its own `send` (the exchange
    stays usable, or fails with it), or later. Later is when those before it have been accepted or,
    with `forgetful`, together with them.
    """

    def __init__(self, ways: dict[int, str], *, window: int = 4, forgetful: bool = False) -> None:
        super().__init__(InMemoryBroker())
        self.ways = ways
        self.opened = 0
        self.most = window
        self.forgetful = forgetful

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        self.opened += 1
        known = context.memory.setdefault("known", set())
        return PoisonedExchange(super().open_exchange(context), self, known)


class PoisonedExchange(PassingOn):
    """One opening; `known` are the events that were refused in an earlier one."""

    def __init__(self, inside: OpenExchange, producer: PoisonedProducer, known: set[int]) -> None:
        super().__init__(inside)
        self._producer = producer
        self._known = known
        self._pending: list[Notification] = []
        self._broken = False

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        for each in notifications:
            self._check()
            way = self._producer.ways.get(each.event_id)
            if way == AT_SEND:
                raise undeliverable(X, each.event_id)
            self._pending.append(each)
            if way == AT_SEND_AND_CLOSED or len(self._pending) >= self._producer.most:
                self._accept_pending()

    @override
    def flush(self, timeout: float | None = None) -> None:
        self._check()
        self._accept_pending()

    def _check(self) -> None:
        if self._broken:
            raise BrokerUnavailableError("given up; open it again", exchange_name=X)

    def _accept_pending(self) -> None:
        pending, self._pending = self._pending, []
        ways = self._producer.ways
        refused = next((each.event_id for each in pending if each.event_id in ways), None)
        if refused is not None:
            self._broken = True
        for each in pending:
            if refused is not None and (self._producer.forgetful or each.event_id >= refused):
                break
            self.inside.send([each])
        if refused is None:
            return
        unnamed = ways[refused] == LATE_UNNAMED and refused not in self._known
        self._known.add(refused)  # as ActiveMQ's producer, which then sends one by one
        raise undeliverable(X, None if unnamed else refused)


def undeliverable(exchange_name: str, event_id: int | None) -> UndeliverableEventError:
    return UndeliverableEventError(
        f"event {event_id} is too large", exchange_name=exchange_name, event_id=event_id
    )
