"""How a subscriber reads back what arrived."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


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
    token: Any = None
    """What the consumer needs to acknowledge it; of no meaning to others."""


class MessageConsumer(ABC):
    """Reads one exchange as one subscriber.

    **Delivery.** Messages come in the order in which the broker holds them. One that was received
    and not acknowledged before :meth:`close`, or before a crash, comes again.

    **Names** of exchanges are those of :class:`~tidings.interfaces.MessageProducer`.

    **Threads.** One object is used by one thread at a time. Making it connects to nothing.

    **Errors** are those below :class:`~tidings.errors.DeliveryError`.
    """

    @abstractmethod
    def open(self, exchange_name: str) -> None:
        """Connect, and make sure that this subscriber's queue exists, so that nothing passes it.

        One exchange at a time; may be opened again after :meth:`close`.
        """

    @abstractmethod
    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Return the next message, or ``None`` when none came within ``timeout`` seconds.

        May be called again before the last message was acknowledged.
        """

    @abstractmethod
    def acknowledge(self, message: ReceivedMessage) -> None:
        """Say that ``message`` need not come again.

        May return before the broker has heard it, where the protocol gives no answer.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go. Idempotent, never raises.

        Sees first, for a short time at most, that what was acknowledged gets to the broker. (A
        socket that is closed with unread data in it is reset, and what was written last is lost.)
        """
