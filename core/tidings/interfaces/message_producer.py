"""How events reach a broker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self, final

from tidings.interfaces.lease import Position
from tidings.interfaces.notification import Notification
from tidings.interfaces.open_exchange import ExchangeContext, nothing

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tidings.interfaces.capability import Capability
    from tidings.interfaces.notification import Accepted, NotificationMessage
    from tidings.interfaces.open_exchange import OpenExchange


class MessageProducer(ABC):
    """Opens exchanges of one kind of broker.

    The author of a backend writes :meth:`open_exchange` and an
    :class:`~tidings.interfaces.OpenExchange`, whose docstring holds what is promised. The other
    methods are the book's, for whoever uses a producer by hand. Each calls the open exchange of
    that name, and raises ``RuntimeError`` if it is not open.

    **Names.** An exchange's name has 1 to 127 ASCII letters, digits, dots, dashes or underscores,
    and begins with a letter or digit. The configuration sees to it.

    **Threads.** One object is used by one thread at a time, not always by the same one. It may
    serve several exchanges, which don't disturb each other. Making it connects to nothing.
    """

    capabilities: frozenset[Capability] = frozenset()
    """What this producer, with its settings, can do beyond the interface. Known before it opens an
    exchange, and never changes."""

    window: int | None = None
    """How many events may be in flight, as its settings say; ``None`` if no number bounds them.
    For metrics: nothing depends on it."""

    _exchanges: dict[str, OpenExchange]
    _memories: dict[str, dict[str, Any]]

    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        """Make the object; here, so that a backend's ``__init__`` need not call ours."""
        self = super().__new__(cls)
        self._exchanges = {}
        self._memories = {}
        return self

    @abstractmethod
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        """Connect, and make sure of what the exchange needs on the broker.

        Whatever it raises, it has let go of everything before.

        ``tidings check`` opens the exchange, too, perhaps while a relay runs. If the broker lets
        one connection take another's place, the relay is disconnected, and connects again.
        """

    @final
    def open(
        self,
        exchange_name: str,
        position: Position = Position(),  # noqa: B008 - immutable
        on_accepted: Callable[[], None] = nothing,
        partitions: int = 0,
        partition_by: str = "",
    ) -> OpenExchange:
        """Open an exchange and return it; it may be opened again after :meth:`close`.

        ``position``, ``on_accepted``, ``partitions`` and ``partition_by`` as in
        :class:`~tidings.interfaces.ExchangeContext`.
        """
        if exchange_name in self._exchanges:
            raise RuntimeError(f"Exchange {exchange_name!r} is open already; close it first.")
        memory = self._memories.setdefault(exchange_name, {})
        context = ExchangeContext(
            exchange_name, position, on_accepted, memory, partitions, partition_by
        )
        exchange = self._exchanges[exchange_name] = self.open_exchange(context)
        return exchange

    @final
    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        """Hand one notification over to be sent: :meth:`OpenExchange.send`."""
        notification = Notification(
            notification_message, notification_type, notification_id, notification_occurred_on
        )
        self._exchange(exchange_name).send([notification])

    @final
    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        """Return when the broker has accepted everything sent: :meth:`OpenExchange.flush`."""
        self._exchange(exchange_name).flush(timeout)

    @final
    def accepted_id(self, exchange_name: str) -> int | None:
        """Return the newest id that was accepted: :meth:`OpenExchange.accepted_id`."""
        return self._exchange(exchange_name).accepted_id()

    @final
    def most_recent_accepted(self, exchange_name: str) -> Accepted | None:
        """Return what the broker remembers: :meth:`OpenExchange.most_recent_accepted`."""
        return self._exchange(exchange_name).most_recent_accepted()

    @final
    def wait(self, exchange_name: str, seconds: float) -> None:
        """Pass up to ``seconds``: :meth:`OpenExchange.wait`."""
        self._exchange(exchange_name).wait(seconds)

    @final
    def close(self, exchange_name: str) -> None:
        """Let go of the exchange. Idempotent, never raises, waits for nothing sent."""
        if exchange := self._exchanges.pop(exchange_name, None):
            exchange.close()

    def _exchange(self, exchange_name: str) -> OpenExchange:
        try:
            return self._exchanges[exchange_name]
        except KeyError:
            raise RuntimeError(
                f"Exchange {exchange_name!r} is not open; call open() first."
            ) from None
