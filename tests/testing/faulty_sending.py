"""Open exchanges that send, flush or count with one fault each."""

from __future__ import annotations

import itertools
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from typing_extensions import override

from tests.testing.faulty_producers import UNDELIVERABLE, Base
from tidings.errors import BrokerUnavailableError, DeliveryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.testing.faulty_producers import Producer
    from tidings.interfaces import Accepted, ExchangeContext, Notification


class DropsEveryHundredth(Base):
    @override
    def send_one(self, notification: Notification) -> None:
        if notification.event_id % 100:
            super().send_one(notification)


class ForgetsTheRoutingKey(Base):
    @override
    def send_one(self, notification: Notification) -> None:
        message = notification.message._replace(routing_key="")
        super().send_one(notification._replace(message=message))


class ForgetsThePartition(Base):
    @override
    def send_one(self, notification: Notification) -> None:
        message = notification.message._replace(partition=None)
        super().send_one(notification._replace(message=message))


class PartsBySomethingElse(Base):
    """As a client that is given the key, and has a hash of its own."""

    @override
    def send_one(self, notification: Notification) -> None:
        message = notification.message
        if message.partition is not None:
            message = message._replace(partition=notification.event_id // 4 % 4)
        super().send_one(notification._replace(message=message))


class Reorders(Base):
    held: Notification | None = None

    @override
    def send_one(self, notification: Notification) -> None:
        if notification.event_id % 10 == 5:
            self.held = notification
            return
        super().send_one(notification)
        if self.held:
            held, self.held = self.held, None
            super().send_one(held)


class SendsTheLastOfABatchFirst(Base):
    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        super().send([*notifications[-1:], *notifications[:-1]])


class SendsTheFirstOfABatchOnly(Base):
    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        super().send(notifications[:1])


class SwallowsErrors(Base):
    @override
    def flush(self, timeout: float | None = None) -> None:
        with suppress(DeliveryError):
            super().flush(timeout)


class AcceptsTooEarly(Base):
    sent: int | None = None

    @override
    def send_one(self, notification: Notification) -> None:
        super().send_one(notification)
        self.sent = notification.event_id

    @override
    def accepted_id(self) -> int | None:
        return self.sent


class SendsAgainByItself(Base):
    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        super().__init__(producer, context)
        self.unsent: list[Notification] = context.memory.setdefault("unsent", [])
        self.sound.send(self.unsent)
        self.unsent.clear()

    @override
    def send_one(self, notification: Notification) -> None:
        super().send_one(notification)
        self.unsent.append(notification)

    @override
    def flush(self, timeout: float | None = None) -> None:
        super().flush(timeout)
        self.unsent.clear()

    @override
    def most_recent_accepted(self) -> Accepted | None:
        return None


class HearsOfNothingWhileItWaits(Base):
    """As a client that takes the broker's word in flush() alone."""

    heard: int | None = None

    @override
    def flush(self, timeout: float | None = None) -> None:
        super().flush(timeout)
        self.heard = super().accepted_id()

    @override
    def accepted_id(self) -> int | None:
        return self.heard


class KeepsNoTimeWhileItWaits(Base):
    """As a client that counts a silence within one call only."""

    @override
    def wait(self, seconds: float) -> None:
        self.connection.first_since = time.monotonic()
        super().wait(seconds)


class BeginsTheTimeAnewWithEachEvent(Base):
    @override
    def send_one(self, notification: Notification) -> None:
        super().send_one(notification)
        self.connection.first_since = time.monotonic()


class CountsIdleTimeAsSilence(Base):
    """As a client that counts from the broker's last word."""

    @override
    def send_one(self, notification: Notification) -> None:
        last_word = self.connection.first_since
        super().send_one(notification)
        self.connection.first_since = last_word


class WaitsForEver(Base):
    @override
    def flush(self, timeout: float | None = None) -> None:
        super().flush(60)


class IgnoresTheTimeout(Base):
    @override
    def flush(self, timeout: float | None = None) -> None:
        super().flush()


class CutsTheTime(Base):
    @override
    def send_one(self, notification: Notification) -> None:
        when = notification.occurred_on.replace(microsecond=0)
        super().send_one(notification._replace(occurred_on=when))


class DropsHeaders(Base):
    @override
    def send_one(self, notification: Notification) -> None:
        message = notification.message._replace(headers={})
        super().send_one(notification._replace(message=message))


class EndsBodiesAtNul(Base):
    @override
    def send_one(self, notification: Notification) -> None:
        message = notification.message
        message = message._replace(body=message.body.split(b"\0")[0])
        super().send_one(notification._replace(message=message))


class SendsTheUndeliverable(Base):
    """Calls an event undeliverable, and has sent it all the same."""

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        super().send([each._replace(type_name="Large") for each in notifications])
        super().send(notifications[:1])


class GoesOnAfterTheUndeliverable(Base):
    """Leaves the event out, sends the rest of its batch, and says so at the end."""

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        super().send([each for each in notifications if each.type_name != UNDELIVERABLE])
        super().send([each for each in notifications if each.type_name == UNDELIVERABLE])


class TakesNothingBesideTheUndeliverable(Base):
    """Looks through the batch first."""

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        super().send([each for each in notifications if each.type_name == UNDELIVERABLE])
        super().send(notifications)


class CountsAllExchangesTogether(Base):
    @override
    def accepted_id(self) -> int | None:
        accepted = [each.sound.accepted_id() or 0 for each in self.producer.opened]
        return max(accepted) or None


class GoesDown(Base):
    answers = itertools.cycle([0, 5])

    @override
    def accepted_id(self) -> int | None:
        accepted = super().accepted_id()
        return accepted and accepted - next(self.answers)


class ForgetsToFlushInAHurry(Base):
    """Keeps a batch, and sends it only if it has all the time in the world."""

    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        super().__init__(producer, context)
        self.batch: list[Notification] = []

    @override
    def send_one(self, notification: Notification) -> None:
        self.batch.append(notification)

    @override
    def flush(self, timeout: float | None = None) -> None:
        if timeout is None:
            while self.batch:
                super().send_one(self.batch.pop(0))
        super().flush(timeout)


class HasNoWindow(Base):
    window = 10**9


class AcceptsWhatIsRejected(Base):
    """Goes on after a refusal, as if the broker had taken the message."""

    @override
    def flush(self, timeout: float | None = None) -> None:
        try:
            super().flush(timeout)
        except BrokerUnavailableError:
            raise
        except DeliveryError:
            pass

    @override
    def send_one(self, notification: Notification) -> None:
        try:
            super().send_one(notification)
        except BrokerUnavailableError:
            raise
        except DeliveryError:
            pass
