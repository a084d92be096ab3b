"""Sends events as short as a test can say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.activemq.client import NOW
from tidings.plugins import Notification, NotificationMessage

if TYPE_CHECKING:
    from tidings.plugins import MessageProducer

MESSAGE = NotificationMessage(b'{"number":1}', "application/json", {})


def notification(
    event_id: int, body: bytes = MESSAGE.body, headers: dict[str, str] | None = None
) -> Notification:
    message = NotificationMessage(body, MESSAGE.content_type, headers or {})
    return Notification(message, "OrderPlaced", event_id, NOW)


def send(
    producer: MessageProducer,
    exchange: str,
    event_id: int,
    body: bytes = MESSAGE.body,
    headers: dict[str, str] | None = None,
) -> None:
    producer.send(exchange, *notification(event_id, body, headers))
