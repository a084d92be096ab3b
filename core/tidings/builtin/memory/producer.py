"""Sends to a broker in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.builtin.memory.broker import InMemoryBroker
from tidings.interfaces import Accepted, Capability, MessageProducer, OpenExchange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import ExchangeContext, Notification


class InMemoryProducer(MessageProducer):
    """Sends to an :class:`InMemoryBroker`: its own, or the one that it is given.

    ``window`` is how many messages may wait for acceptance before :meth:`send` blocks;
    ``no_progress`` after how many seconds without an answer a call gives up.
    """

    capabilities = frozenset(
        {
            Capability.MOST_RECENT_ACCEPTED,
            Capability.LOCK,
            Capability.UNROUTABLE,
            Capability.OUT_OF_ORDER,
            Capability.WAIT_SETTLES,
            Capability.ROUTING,
            Capability.PARTITIONS,
        }
    )

    def __init__(
        self, broker: InMemoryBroker | None = None, *, window: int = 1000, no_progress: float = 5.0
    ) -> None:
        self.broker = broker or InMemoryBroker()
        self._window = window
        self._no_progress = no_progress

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        """Connect; one producer at a time for each exchange."""
        return OpenInMemoryExchange(self.broker, context, self._window, self._no_progress)


class OpenInMemoryExchange(OpenExchange):
    """One producer's connection to one exchange."""

    def __init__(
        self, broker: InMemoryBroker, context: ExchangeContext, window: int, no_progress: float
    ) -> None:
        self._broker = broker
        self._window = window
        self._no_progress = no_progress
        self._connection = broker.connect(
            context.exchange_name, no_progress, publisher=True, position=context.position
        )

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        """Hand notifications over; they are accepted at once unless the broker is frozen."""
        for notification in notifications:
            self._broker.send(self._connection, notification, self._window, self._no_progress)

    @override
    def flush(self, timeout: float | None = None) -> None:
        self._broker.flush(self._connection, self._no_progress if timeout is None else timeout)

    @override
    def accepted_id(self) -> int | None:
        return self._connection.accepted_id

    @override
    def most_recent_accepted(self) -> Accepted | None:
        return self._broker.last_accepted(self._connection.exchange_name)

    @override
    def wait(self, seconds: float) -> None:
        """Pass ``seconds``, or less if all that was sent is accepted; raises if it was cut."""
        self._broker.wait(self._connection, seconds, self._no_progress)

    @override
    def close(self) -> None:
        """Let go of the exchange, and of what was not accepted."""
        self._broker.disconnect(self._connection)
