"""Producers with one fault each, for the suite to find."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tidings.builtin.memory import InMemoryBroker, InMemoryMessageProducer
from tidings.errors import BrokerUnavailableError, DeliveryError, UndeliverableEventError
from tidings.interfaces import NotificationMessage, Position

if TYPE_CHECKING:
    from datetime import datetime

SECRET = "hunter2"
START = Position()
UNDELIVERABLE = "Too large"


class Base(InMemoryMessageProducer):
    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(broker, no_progress=0.2)

    def send(self, exchange_name: str, *message: Any) -> None:
        if message[1] == UNDELIVERABLE:
            raise refused(exchange_name, message[2])
        super().send(exchange_name, *message)


def refused(exchange_name: str, event_id: int) -> UndeliverableEventError:
    return UndeliverableEventError(
        f"{exchange_name}: event {event_id} is too large",
        exchange_name=exchange_name,
        event_id=event_id,
    )


class DropsEveryHundredth(Base):
    def send(self, exchange_name: str, *message: Any) -> None:
        if message[2] % 100:
            super().send(exchange_name, *message)


class Reorders(Base):
    held: tuple[Any, ...] | None = None

    def send(self, exchange_name: str, *message: Any) -> None:
        if message[2] % 10 == 5:
            self.held = message
            return
        super().send(exchange_name, *message)
        if self.held:
            held, self.held = self.held, None
            super().send(exchange_name, *held)


class SwallowsErrors(Base):
    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        with suppress(DeliveryError):
            super().flush(exchange_name, timeout)


class AcceptsTooEarly(Base):
    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(broker)
        self.sent: dict[str, int] = {}

    def open(self, exchange_name: str, position: Position = START) -> None:
        super().open(exchange_name, position)
        self.sent.pop(exchange_name, None)

    def send(self, exchange_name: str, *message: Any) -> None:
        super().send(exchange_name, *message)
        self.sent[exchange_name] = message[2]

    def accepted_id(self, exchange_name: str) -> int | None:
        return self.sent.get(exchange_name)


class CannotReopen(Base):
    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(broker)
        self.closed: set[str] = set()

    def open(self, exchange_name: str, position: Position = START) -> None:
        if exchange_name in self.closed:
            raise BrokerUnavailableError(
                f"Exchange {exchange_name!r}: the channel is closed", exchange_name=exchange_name
            )
        super().open(exchange_name, position)

    def close(self, exchange_name: str) -> None:
        if exchange_name in self._connections:
            self.closed.add(exchange_name)
        super().close(exchange_name)


class LeaksItsConnection(Base):
    def close(self, exchange_name: str) -> None:
        connection = self._connections.get(exchange_name)
        super().close(exchange_name)
        if connection is not None:
            self.broker._connections.append(connection)


class LeaksItsThread(Base):
    def open(self, exchange_name: str, position: Position = START) -> None:
        super().open(exchange_name, position)
        threading.Thread(target=time.sleep, args=(30,), name="heartbeat", daemon=True).start()


class ConnectsWhenMade(Base):
    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(broker)
        broker.connect("probe", 0.1, publisher=False)


class SendsAgainByItself(Base):
    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(broker)
        self.unsent: list[tuple[Any, ...]] = []

    def open(self, exchange_name: str, position: Position = START) -> None:
        super().open(exchange_name, position)
        for message in self.unsent:
            super().send(exchange_name, *message)
        self.unsent.clear()

    def send(self, exchange_name: str, *message: Any) -> None:
        super().send(exchange_name, *message)
        self.unsent.append(message)

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        super().flush(exchange_name, timeout)
        self.unsent.clear()

    def most_recent_accepted_id(self, exchange_name: str) -> int | None:
        return None


class WaitsForEver(Base):
    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        super().flush(exchange_name, 60)


class IgnoresTheTimeout(Base):
    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        super().flush(exchange_name)


class HasNoSubscriber(Base):
    """Finds an exchange that nobody is bound to."""

    def open(self, exchange_name: str, position: Position = START) -> None:
        super().open(exchange_name, position)
        self.broker.unbind(exchange_name)


class SendsNowhere(Base):
    """As with a broker that doesn't tell when nobody got a message."""

    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(InMemoryBroker())


class SaysItsSecret(Base):
    def open(self, exchange_name: str, position: Position = START) -> None:
        try:
            super().open(exchange_name, position)
        except DeliveryError as error:
            raise BrokerUnavailableError(
                f"{exchange_name}: cannot connect to amqp://guest:{SECRET}@localhost",
                exchange_name=exchange_name,
            ) from error


class LogsItsSecret(Base):
    def open(self, exchange_name: str, position: Position = START) -> None:
        logging.getLogger("faulty").debug("connecting to amqp://guest:%s@localhost", SECRET)
        super().open(exchange_name, position)


class KeepsToOneThread(Base):
    """As a library does whose objects belong to the thread that made them."""

    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(broker)
        self.thread = threading.current_thread()

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        if threading.current_thread() != self.thread:
            raise RuntimeError("this object belongs to another thread")
        super().flush(exchange_name, timeout)


class DoesNotNameTheExchange(Base):
    def open(self, exchange_name: str, position: Position = START) -> None:
        try:
            super().open(exchange_name, position)
        except DeliveryError:
            raise BrokerUnavailableError("()", exchange_name=exchange_name) from None


class CutsTheTime(Base):
    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        super().send(
            exchange_name,
            notification_message,
            notification_type,
            notification_id,
            notification_occurred_on.replace(microsecond=0),
        )


class DropsHeaders(Base):
    def send(
        self, exchange_name: str, notification_message: NotificationMessage, *rest: Any
    ) -> None:
        super().send(exchange_name, notification_message._replace(headers={}), *rest)


class EndsBodiesAtNul(Base):
    def send(
        self, exchange_name: str, notification_message: NotificationMessage, *rest: Any
    ) -> None:
        body = notification_message.body.split(b"\0")[0]
        super().send(exchange_name, notification_message._replace(body=body), *rest)


class SendsTheUndeliverable(Base):
    """Calls an event undeliverable, and has sent it all the same."""

    def send(self, exchange_name: str, *message: Any) -> None:
        if message[1] == UNDELIVERABLE:
            super().send(exchange_name, message[0], "Large", *message[2:])
        super().send(exchange_name, *message)


class TakesNoLock(Base):
    def open(self, exchange_name: str, position: Position = START) -> None:
        super().open(exchange_name, position)
        self.broker._exchange(exchange_name).publisher = None


class ForgetsTheGeneration(Base):
    def most_recent_accepted_id(self, exchange_name: str) -> int | None:
        last = self.broker.last_accepted(exchange_name)
        return last and last.event_id


class CountsAllExchangesTogether(Base):
    def accepted_id(self, exchange_name: str) -> int | None:
        accepted = [each.accepted_id or 0 for each in self._connections.values()]
        return max(accepted) or None


class ClosesWithAnError(Base):
    def close(self, exchange_name: str) -> None:
        del self._connections[exchange_name]


class OpensTwice(Base):
    def open(self, exchange_name: str, position: Position = START) -> None:
        if exchange_name not in self._connections:
            super().open(exchange_name, position)


class GoesDown(Base):
    answers = itertools.cycle([0, 5])

    def accepted_id(self, exchange_name: str) -> int | None:
        accepted = super().accepted_id(exchange_name)
        return accepted and accepted - next(self.answers)


class HasNoWindow(Base):
    def __init__(self, broker: InMemoryBroker) -> None:
        super().__init__(broker)
        self._window = 10**9


class NeverNotices(Base):
    def wait(self, exchange_name: str, seconds: float) -> None:
        time.sleep(seconds)


class AcceptsWhatIsRejected(Base):
    """Goes on after a refusal, as if the broker had taken the message."""

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        try:
            super().flush(exchange_name, timeout)
        except BrokerUnavailableError:
            raise
        except DeliveryError:
            pass

    def send(self, exchange_name: str, *message: Any) -> None:
        try:
            super().send(exchange_name, *message)
        except BrokerUnavailableError:
            raise
        except DeliveryError:
            pass
