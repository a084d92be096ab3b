"""How a subscriber reads back what arrived."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from tidings.interfaces.capability import Capability

Connection = TypeVar("Connection", default=Any)


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message as it arrived."""

    message_id: str
    """The event's id, as text: what a consumer checks for having handled it before."""
    type_name: str
    occurred_on: datetime | None
    body: bytes
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery_tag: Any = None
    """What the consumer needs to acknowledge it; of no meaning to others."""
    routing_key: str = ""
    """What the message was sent with; empty without one, and if the broker doesn't tell it."""
    partition: int | None = None
    """Which partition of the exchange it came from; ``None`` if that is not parted."""


class Opening(Generic[Connection]):
    """What a consumer has open, for its own use: one exchange at a time, in one process.

    A consumer keeps one, and the ``RuntimeError`` for its misuse is raised here. It also knows
    which messages came since :meth:`begin`. What a broker calls a message often counts from the
    connection's beginning, so that the same name means another message after the next one.
    """

    _exchange_name: str = ""
    _connection: Connection | None = None
    _process = 0

    def __init__(self) -> None:
        self._mark = object()

    def begin(self, exchange_name: str, connect: Callable[[str], Connection]) -> Connection:
        """Keep and return what ``connect`` returns, called with the exchange's name.

        ``RuntimeError`` if an exchange is open already. If ``connect`` raises, none is open.
        """
        if self._connection is not None:
            raise RuntimeError(f"Exchange {self._exchange_name!r} is open already; close it first.")
        self._exchange_name, self._process = exchange_name, os.getpid()
        self._mark = object()
        self._connection = connect(exchange_name)
        return self._connection

    @property
    def connection(self) -> Connection:
        """What :meth:`begin` returned; ``RuntimeError`` if nothing is open in this process."""
        if self._connection is None and not self._exchange_name:
            raise RuntimeError("No exchange is open; call open() first.")
        if self._connection is None:
            raise RuntimeError(f"Exchange {self._exchange_name!r} is not open; call open() first.")
        if self._process != os.getpid():
            raise RuntimeError(
                f"Exchange {self._exchange_name!r} was opened by another process, of which this "
                "one is a fork. Open it in the process that uses it."
            )
        return self._connection

    def end(self) -> Connection | None:
        """Return what was open, to be closed; ``None`` if nothing was. Nothing is open then."""
        connection, self._connection = self._connection, None
        return connection

    def delivery_tag(self, name: Any = None) -> Any:
        """Return the :attr:`ReceivedMessage.delivery_tag` for what the broker calls a message."""
        return self._mark, name

    def name_of(self, message: ReceivedMessage) -> Any:
        """Return what the broker calls ``message``; ``RuntimeError`` if it came earlier.

        So it is, once :meth:`begin` was called, if nothing is open in this process.
        """
        if self._process:
            _ = self.connection
        mark, name = message.delivery_tag or (None, None)
        if mark is not self._mark:
            raise RuntimeError(
                f"Message {message.message_id!r} came before this consumer was opened (again): it "
                "cannot be acknowledged any more. Unless it had been, it comes again: acknowledge "
                "it then."
            )
        return name


class MessageConsumer(ABC):
    """Reads one exchange as one subscriber.

    **Delivery.** Messages come in the order in which the broker holds them. One that was received
    and not acknowledged before :meth:`close`, or before a crash, comes again. A message belongs
    to the opening that it came in: a later one refuses it with ``RuntimeError``.

    **Subscribers.** Each has a queue of its own: what one has acknowledged comes to every other
    one all the same.

    **Misuse.** Messages are received only while an exchange is open, and none is opened while one
    is. Otherwise ``RuntimeError`` says so, and names the exchange that is open; nothing has
    changed. :class:`Opening` sees to it.

    **Deadlines.** No call blocks for ever: a broker that stops answering looks like an empty
    exchange, or ends in :class:`~tidings.errors.BrokerUnavailableError`.

    **Names** of exchanges are those of :class:`~tidings.interfaces.MessageProducer`.

    **Threads.** One object is used by one thread at a time. Making it connects to nothing.

    **Errors** are those below :class:`~tidings.errors.DeliveryError`.
    """

    capabilities: frozenset[Capability] = frozenset()
    """What this consumer, with its settings, can do beyond the interface."""

    def select(self, routing_keys: Sequence[str]) -> None:
        """From the next :meth:`open` on, get the messages with these routing keys, and no others.

        A key means itself; wildcards are the broker's own. A subscriber whose queue was there
        before may get what was asked for earlier, too: then the backend's README says so.
        ``Capability.ROUTING`` says that it can be called.
        """
        raise NotImplementedError

    def select_partitions(self, partitions: Sequence[int], of: int) -> None:
        """From the next :meth:`open` on, read these partitions of an exchange that has ``of``.

        All of them if none is named. What goes to the others waits for whoever reads those.
        Messages of one partition come in order, and are with one consumer of a subscriber at a
        time, however many read it. (If the broker cannot see to that, the backend's README says
        so.) ``Capability.PARTITIONS`` says that it can be called.
        """
        raise NotImplementedError

    @abstractmethod
    def open(self, exchange_name: str) -> None:
        """Connect, and make sure that this subscriber's queue exists, so that nothing passes it.

        One exchange at a time; may be opened again after :meth:`close`.
        """

    @abstractmethod
    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Return the next message, or ``None`` if none came within ``timeout`` seconds.

        May be called again before the last message was acknowledged.
        """

    @abstractmethod
    def acknowledge(self, message: ReceivedMessage) -> None:
        """Say that ``message`` need not come again.

        It may say the same of every message before, never of a later one. May return before the
        broker has heard it, if the protocol gives no answer.
        """

    def wait(self, seconds: float) -> None:
        """Pass up to ``seconds``, doing what the connection needs, and take no message.

        For whoever handles a message for longer than the broker is patient with a silent
        connection. Call it again and again meanwhile; also from another thread, as long as nobody
        else uses the consumer. May return early. Raises if the connection is found lost.
        """
        time.sleep(seconds)

    @abstractmethod
    def close(self) -> None:
        """Let go. Idempotent, never raises.

        Sees first, for a short time at most, that what was acknowledged gets to the broker. (A
        socket that is closed with unread data in it is reset, and what was written last is lost.)
        """
