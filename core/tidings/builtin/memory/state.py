"""What the broker in memory keeps."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidings.errors import BrokerUnavailableError
from tidings.interfaces import Accepted, Notification, Position, ReceivedMessage

if TYPE_CHECKING:
    from tidings.errors import DeliveryError


@dataclass(slots=True, eq=False)
class InMemoryConnection:
    """One producer's, or one consumer's, connection to one exchange."""

    exchange_name: str
    position: Position = Position()  # noqa: RUF009 - immutable
    pending: deque[Notification] = field(default_factory=deque)
    accepted_id: int | None = None
    first_since: float = 0.0
    """Since when the first of what is pending has been the first, by the monotonic clock."""
    error: DeliveryError | None = None


@dataclass(slots=True, eq=False)
class InMemoryExchange:
    """What the broker keeps of one exchange."""

    messages: list[ReceivedMessage] = field(default_factory=list)
    last: Accepted | None = None
    bound: bool = True
    to_reject: int = 0
    publisher: InMemoryConnection | None = None
    acknowledged: dict[str, set[int]] = field(default_factory=dict)

    @property
    def refusal(self) -> str:
        """Why the next message is not accepted; nothing if it is."""
        if self.to_reject:
            return "the test rejects it"
        return "" if self.bound else "nobody is bound to the exchange"


def as_received(notification: Notification) -> ReceivedMessage:
    """Return the notification as a subscriber sees it."""
    message = notification.message
    return ReceivedMessage(
        message_id=str(notification.event_id),
        type_name=notification.type_name,
        occurred_on=notification.occurred_on,
        body=message.body,
        content_type=message.content_type,
        headers=dict(message.headers),
        routing_key=message.routing_key,
        partition=message.partition,
    )


def silent(exchange_name: str, seconds: float) -> BrokerUnavailableError:
    """Return the error of a broker that has not answered for so long."""
    return BrokerUnavailableError(
        f"The in-memory broker has not answered on exchange {exchange_name!r} for "
        f"{seconds:g} s; call thaw().",
        exchange_name=exchange_name,
    )
