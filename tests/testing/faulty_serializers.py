"""Serializers with one fault each, for the suite to find."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.builtin.json_serializer import JsonSerializer
from tidings.interfaces import NotificationMessage

if TYPE_CHECKING:
    from tidings.event import StoredEvent


class Base(JsonSerializer):
    pass


class Counts(Base):
    count = 0

    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        self.count += 1
        message = super().serialize(event)
        return message._replace(headers={**message.headers, "count": str(self.count)})


class TellsTheTime(Base):
    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        message = super().serialize(event)
        return message._replace(headers={"sent": str(time.monotonic_ns())})


class SharesItsBuffer(Base):
    """Keeps the event in the object while it works on it."""

    event: StoredEvent

    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        self.event = event
        time.sleep(0.0001)
        return super().serialize(self.event)


class ReturnsText(Base):
    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        return super().serialize(event)._replace(body=event.body)  # type: ignore[arg-type] # the fault


class HeadersOfNone(Base):
    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        headers = {"aggregate_id": event.aggregate_id}
        return super().serialize(event)._replace(headers=headers)  # type: ignore[arg-type] # the fault


class TakesAnyText(Base):
    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        return NotificationMessage(event.body.encode(), "application/json", {})


class RaisesSomethingElse(Base):
    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        try:
            return super().serialize(event)
        except ValueError:
            raise KeyError(event.event_id) from None


class SaysNothing(Base):
    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        try:
            return super().serialize(event)
        except ValueError:
            raise ValueError from None


class SendsNothing(Base):
    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        super().serialize(event)
        return NotificationMessage(b"", "application/json", {})
