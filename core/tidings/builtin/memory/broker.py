"""A broker in memory, whose failures a test can choose."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tidings.builtin.memory.state import (
    InMemoryConnection,
    InMemoryExchange,
    as_received,
    silent,
)
from tidings.errors import (
    BrokerUnavailableError,
    DeliveryError,
    ExchangeLockedError,
    NotAcceptedError,
)
from tidings.interfaces import Accepted, Position, fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import Notification, ReceivedMessage


class InMemoryBroker:
    """What :class:`InMemoryProducer` sends to and :class:`InMemoryConsumer` reads.

    :meth:`messages` gives what was accepted. What a real broker does on a bad day is chosen by the
    test:

    ============================ ==========================================================
    :meth:`freeze` / `thaw`      nothing is answered until `thaw`: acceptance comes later
    :meth:`cut`                  every connection is lost, with what was not yet accepted
    :meth:`refuse` / `admit`     nobody can connect until `admit`
    :meth:`reject`               the next message, or the next few, are not accepted
    :meth:`unbind` / `bind`      messages reach nobody, and so are not accepted
    ============================ ==========================================================

    **Threads.** Every method may be called from any thread.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._exchanges: dict[str, InMemoryExchange] = {}
        self._connections: list[InMemoryConnection] = []
        self._opened = 0
        self._frozen = False
        self._refusing = False

    def messages(self, exchange_name: str) -> list[ReceivedMessage]:
        """Return everything that the exchange has accepted, in order."""
        with self._changed:
            return list(self._exchange(exchange_name).messages)

    @property
    def connections(self) -> int:
        """How many producers and consumers are connected."""
        with self._changed:
            return len(self._connections)

    @property
    def opened(self) -> int:
        """How many connections there were in all."""
        with self._changed:
            return self._opened

    def freeze(self) -> None:
        """Answer nothing, and accept nothing, until :meth:`thaw`."""
        with self._changed:
            self._frozen = True

    def thaw(self) -> None:
        """Go on, with what was sent meanwhile."""
        with self._changed:
            self._frozen = False
            for connection in self._connections:
                self._accept(connection)
            self._changed.notify_all()

    def cut(self) -> None:
        """Lose every connection, and what was sent on it and not accepted."""
        with self._changed:
            for connection in list(self._connections):
                name = connection.exchange_name
                self._fail(
                    connection,
                    BrokerUnavailableError(
                        f"The connection of exchange {name!r} to the in-memory broker was cut; "
                        "open it again.",
                        exchange_name=name,
                    ),
                )

    def refuse(self) -> None:
        """Let nobody connect until :meth:`admit`."""
        with self._changed:
            self._refusing = True

    def admit(self) -> None:
        """Let everybody connect again."""
        with self._changed:
            self._refusing = False

    def reject(self, exchange_name: str, count: int = 1) -> None:
        """Accept none of the next ``count`` messages to the exchange."""
        with self._changed:
            self._exchange(exchange_name).to_reject = count

    def unbind(self, exchange_name: str) -> None:
        """Let what is sent to the exchange reach nobody, until :meth:`bind`."""
        with self._changed:
            self._exchange(exchange_name).bound = False

    def bind(self, exchange_name: str) -> None:
        """Let what is sent to the exchange arrive again."""
        with self._changed:
            self._exchange(exchange_name).bound = True

    def connect(
        self,
        exchange_name: str,
        patience: float,
        *,
        publisher: bool,
        position: Position = Position(),  # noqa: B008 - immutable
    ) -> InMemoryConnection:
        """Connect a producer or a consumer; of producers, one at a time for each exchange."""
        with self._changed:
            if self._refusing:
                raise BrokerUnavailableError(
                    f"The in-memory broker lets nobody connect to exchange {exchange_name!r}; "
                    "call admit().",
                    exchange_name=exchange_name,
                )
            self._wait_while(lambda: self._frozen, patience, exchange_name)
            exchange = self._exchange(exchange_name)
            connection = InMemoryConnection(exchange_name, position)
            if publisher:
                if exchange.publisher is not None:
                    raise ExchangeLockedError(
                        f"Another producer publishes to exchange {exchange_name!r}; close it "
                        "first.",
                        exchange_name=exchange_name,
                    )
                exchange.publisher = connection
            self._connections.append(connection)
            self._opened += 1
            return connection

    def disconnect(self, connection: InMemoryConnection) -> None:
        """Let go of a connection, and of what is pending on it. Idempotent."""
        with self._changed:
            connection.pending.clear()
            exchange = self._exchange(connection.exchange_name)
            if exchange.publisher is connection:
                exchange.publisher = None
            if connection in self._connections:
                self._connections.remove(connection)
            self._changed.notify_all()

    def send(
        self,
        connection: InMemoryConnection,
        notification: Notification,
        window: int,
        patience: float,
    ) -> None:
        """Take one notification, and accept it at once unless frozen."""
        with self._changed:
            self._raise_failure(connection)
            self._wait_while(
                lambda: len(connection.pending) >= window and connection.error is None,
                patience,
                connection.exchange_name,
                connection,
            )
            self._raise_failure(connection)
            if not connection.pending:
                connection.first_since = time.monotonic()
            connection.pending.append(notification)
            self._accept(connection)

    def flush(self, connection: InMemoryConnection, patience: float) -> None:
        """Return when everything sent on the connection was accepted."""
        with self._changed:
            self._wait_while(
                lambda: bool(connection.pending) and connection.error is None,
                patience,
                connection.exchange_name,
                connection,
            )
            self._raise_failure(connection)

    def wait(self, connection: InMemoryConnection, seconds: float, patience: float) -> None:
        """Return after ``seconds``, or when everything sent on the connection was accepted.

        Raises if the first of it has waited for that for longer than ``patience``.
        """
        with self._changed:
            owed = bool(connection.pending)
            left = connection.first_since + patience - time.monotonic() if owed else seconds
            self._changed.wait_for(
                lambda: connection.error is not None or (owed and not connection.pending),
                min(seconds, max(left, 0.0)),
            )
            self._raise_failure(connection)
            if connection.pending and time.monotonic() >= connection.first_since + patience:
                error = silent(connection.exchange_name, patience)
                self._fail(connection, error)
                raise error

    def last_accepted(self, exchange_name: str) -> Accepted | None:
        """Return the newest event that the exchange holds, and whose it is."""
        with self._changed:
            return self._exchange(exchange_name).last

    def next_message(
        self, connection: InMemoryConnection, subscriber: str, start: int, timeout: float
    ) -> ReceivedMessage | None:
        """Return the subscriber's next unacknowledged message from place ``start`` on."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                self._raise_failure(connection)
                exchange = self._exchange(connection.exchange_name)
                done = exchange.acknowledged.setdefault(subscriber, set())
                for place in range(start, 0 if self._frozen else len(exchange.messages)):
                    if place not in done:
                        return replace(exchange.messages[place], delivery_tag=place)
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)

    def acknowledge(self, connection: InMemoryConnection, subscriber: str, place: int) -> None:
        """Note that the subscriber need not have the message at that place again."""
        with self._changed:
            self._raise_failure(connection)
            self._exchange(connection.exchange_name).acknowledged[subscriber].add(place)

    def _accept(self, connection: InMemoryConnection) -> None:
        exchange = self._exchange(connection.exchange_name)
        while connection.pending and not self._frozen and connection.error is None:
            notification = connection.pending[0]
            reason = exchange.refusal
            if reason:
                exchange.to_reject = max(exchange.to_reject - 1, 0)
                self._fail(
                    connection,
                    NotAcceptedError(
                        f"Event {notification.event_id} was not accepted by exchange "
                        f"{connection.exchange_name!r} of the in-memory broker: {reason}.",
                        exchange_name=connection.exchange_name,
                        event_id=notification.event_id,
                    ),
                )
                return
            exchange.messages.append(as_received(notification))
            position = connection.position
            exchange.last = Accepted(
                notification.event_id,
                fingerprint_of(notification.type_name, notification.occurred_on),
                position.generation,
                position.store,
            )
            connection.accepted_id = notification.event_id
            connection.pending.popleft()
            connection.first_since = time.monotonic()
        self._changed.notify_all()

    def _fail(self, connection: InMemoryConnection, error: DeliveryError) -> None:
        connection.error = error
        self.disconnect(connection)

    def _raise_failure(self, connection: InMemoryConnection) -> None:
        if connection.error is not None:
            raise connection.error

    def _wait_while(
        self,
        busy: Callable[[], bool],
        patience: float,
        exchange_name: str,
        connection: InMemoryConnection | None = None,
    ) -> None:
        if self._changed.wait_for(lambda: not busy(), patience):
            return
        error = silent(exchange_name, patience)
        if connection is not None:
            self._fail(connection, error)
        raise error

    def _exchange(self, exchange_name: str) -> InMemoryExchange:
        return self._exchanges.setdefault(exchange_name, InMemoryExchange())
