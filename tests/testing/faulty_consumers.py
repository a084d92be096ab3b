"""Consumers with one fault each, for the suites to find."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tidings.builtin.memory import InMemoryBroker, InMemoryMessageConsumer
from tidings.errors import DeliveryError

if TYPE_CHECKING:
    from tidings.interfaces import ReceivedMessage


class Base(InMemoryMessageConsumer):
    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(broker, "app", no_progress=0.2)


class AcknowledgesByItself(Base):
    def receive(self, timeout: float) -> ReceivedMessage | None:
        message = super().receive(timeout)
        if message is not None:
            self.acknowledge(message)
        return message


class ForgetsAcknowledgements(Base):
    def acknowledge(self, message: ReceivedMessage) -> None:
        pass


class KeepsAcknowledgements(Base):
    """Sends them with the next receive(), and not at all where none comes."""

    kept: list[ReceivedMessage]

    def open(self, exchange_name: str) -> None:
        super().open(exchange_name)
        self.kept = []

    def receive(self, timeout: float) -> ReceivedMessage | None:
        while self.kept:
            super().acknowledge(self.kept.pop())
        return super().receive(timeout)

    def acknowledge(self, message: ReceivedMessage) -> None:
        self.kept.append(message)


class BeginsAtTheEnd(Base):
    """Has no queue of its own while it is closed."""

    def open(self, exchange_name: str) -> None:
        super().open(exchange_name)
        self._next_place = len(self.broker.messages(exchange_name))


class LastFirst(Base):
    waiting: list[ReceivedMessage]

    def open(self, exchange_name: str) -> None:
        super().open(exchange_name)
        self.waiting = []

    def receive(self, timeout: float) -> ReceivedMessage | None:
        while message := super().receive(0 if self.waiting else timeout):
            self.waiting.append(message)
        return self.waiting.pop() if self.waiting else None


class DoesNotWait(Base):
    def receive(self, timeout: float) -> ReceivedMessage | None:
        return super().receive(0)


class WaitsLonger(Base):
    def receive(self, timeout: float) -> ReceivedMessage | None:
        return super().receive(timeout + 6)


class LosesTheTime(Base):
    def receive(self, timeout: float) -> ReceivedMessage | None:
        message = super().receive(timeout)
        return message and replace(message, occurred_on=None)


class CannotReopen(Base):
    def close(self) -> None:
        connection = self._connection
        super().close()
        self._connection = connection


class ClosesWithAnError(Base):
    def close(self) -> None:
        self.broker.disconnect(self._open_connection())
        self._connection = None


class LeaksItsConnection(Base):
    def close(self) -> None:
        self._connection = None


class SaysThereIsNothing(Base):
    """Takes a lost connection for an empty exchange."""

    def receive(self, timeout: float) -> ReceivedMessage | None:
        with contextlib.suppress(DeliveryError):
            return super().receive(timeout)
        time.sleep(timeout)
        return None
