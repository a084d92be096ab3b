"""Consumers with one fault each, for the suites to find."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.builtin.memory import InMemoryBroker, InMemoryConsumer
from tidings.builtin.memory.state import InMemoryConnection
from tidings.errors import (
    BrokerRefusedError,
    BrokerUnavailableError,
    DeliveryError,
    ExchangeLockedError,
)
from tidings.interfaces import Opening

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import ReceivedMessage


class Base(InMemoryConsumer):
    is_refused = False

    def __init__(self, broker: InMemoryBroker, subscriber: str = "app") -> None:
        super().__init__(broker, subscriber, no_progress=0.2)

    @override
    def open(self, exchange_name: str) -> None:
        if self.is_refused:
            raise BrokerRefusedError(f"{exchange_name}: no", exchange_name=exchange_name)
        super().open(exchange_name)


class AcknowledgesByItself(Base):
    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        message = super().receive(timeout)
        if message is not None:
            self.acknowledge(message)
        return message


class TakesKeysForBeginnings(Base):
    @override
    def select(self, routing_keys: Sequence[str]) -> None:
        super().select([f"{key}.#" for key in routing_keys])


class TakesEveryPartition(Base):
    @override
    def select_partitions(self, partitions: Sequence[int], of: int) -> None:
        super().select_partitions([], of)


class TakesTheLastPartitionForNone(Base):
    """Takes what it is asked for, and fewer if it is asked for all."""

    @override
    def select_partitions(self, partitions: Sequence[int], of: int) -> None:
        super().select_partitions(partitions or range(1, of), of)


class DoesNotSayThePartition(Base):
    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        message = super().receive(timeout)
        return message and replace(message, partition=None)


class ForgetsAcknowledgements(Base):
    @override
    def acknowledge(self, message: ReceivedMessage) -> None:
        pass


class KeepsAcknowledgements(Base):
    """Sends them with the next receive(), and not at all if none comes."""

    kept: list[ReceivedMessage]

    @override
    def open(self, exchange_name: str) -> None:
        super().open(exchange_name)
        self.kept = []

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        while self.kept:
            super().acknowledge(self.kept.pop())
        return super().receive(timeout)

    @override
    def acknowledge(self, message: ReceivedMessage) -> None:
        self.kept.append(message)


class CountsFromEachOpening(Base):
    """Takes a message for the one that came as the same one of this opening."""

    came: list[ReceivedMessage]

    @override
    def open(self, exchange_name: str) -> None:
        super().open(exchange_name)
        self.came = []

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        message = super().receive(timeout)
        if message is None:
            return None
        self.came.append(message)
        return replace(message, delivery_tag=len(self.came) - 1)

    @override
    def acknowledge(self, message: ReceivedMessage) -> None:
        super().acknowledge(self.came[message.delivery_tag])


class BeginsAtTheEnd(Base):
    """Has no queue of its own while it is closed."""

    @override
    def open(self, exchange_name: str) -> None:
        super().open(exchange_name)
        self._next_place = len(self.broker.messages(exchange_name))


class LastFirst(Base):
    waiting: list[ReceivedMessage]

    @override
    def open(self, exchange_name: str) -> None:
        super().open(exchange_name)
        self.waiting = []

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        while message := super().receive(0 if self.waiting else timeout):
            self.waiting.append(message)
        return self.waiting.pop() if self.waiting else None


class TakesWhileItWaits(Base):
    @override
    def wait(self, seconds: float) -> None:
        message = self.receive(seconds)
        if message is not None:
            self.acknowledge(message)


class DoesNotWait(Base):
    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        return super().receive(0)


class WaitsLonger(Base):
    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        return super().receive(timeout + 6)


class LosesTheTime(Base):
    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        message = super().receive(timeout)
        return message and replace(message, occurred_on=None)


class CannotReopen(Base):
    @override
    def close(self) -> None:
        pass


class ClosesWithAnError(Base):
    @override
    def close(self) -> None:
        self.broker.disconnect(self._opening.connection)
        self._opening.end()


class LeaksItsConnection(Base):
    @override
    def close(self) -> None:
        self._opening.end()


class OpensTwice(Base):
    @override
    def open(self, exchange_name: str) -> None:
        self._opening = Opening[InMemoryConnection]()
        super().open(exchange_name)


class DoesNotSayWhatIsOpen(Base):
    @override
    def open(self, exchange_name: str) -> None:
        try:
            super().open(exchange_name)
        except RuntimeError:
            raise RuntimeError("The consumer is open already.") from None


class ReceivesWhileClosed(Base):
    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        with contextlib.suppress(RuntimeError):
            return super().receive(timeout)
        return None


class SaysThereIsNothing(Base):
    """Takes a lost connection for an empty exchange."""

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        with contextlib.suppress(DeliveryError):
            return super().receive(timeout)
        time.sleep(timeout)
        return None


class ConnectsWhenMade(Base):
    """As a client that looks whether the broker is there, and lets go again."""

    def __init__(self, broker: InMemoryBroker, subscriber: str = "app") -> None:
        super().__init__(broker, subscriber)
        broker.disconnect(broker.connect("probe", 0.1, publisher=False))


class GivesBackOnlyWhenClosed(Base):
    """Takes a message off the queue as it comes, and puts it back in close()."""

    taken: list[ReceivedMessage]

    @override
    def open(self, exchange_name: str) -> None:
        super().open(exchange_name)
        self.taken = []

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        message = super().receive(timeout)
        if message is not None:
            self.taken.append(message)
            super().acknowledge(message)
        return message

    @override
    def acknowledge(self, message: ReceivedMessage) -> None:
        self._opening.name_of(message)
        self.taken.remove(message)

    @override
    def close(self) -> None:
        with contextlib.suppress(RuntimeError):
            done = self.broker._exchange(self._opening.connection.exchange_name).acknowledged
            for message in self.taken:
                done[self.subscriber].discard(self._opening.name_of(message))
        super().close()


class HangsWithASilentBroker(Base):
    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        while self.broker._frozen:
            time.sleep(0.01)
        return super().receive(timeout)


class FailsOtherwiseWithASilentBroker(Base):
    @override
    def open(self, exchange_name: str) -> None:
        if self.broker._frozen:
            raise ExchangeLockedError(f"{exchange_name}: busy", exchange_name=exchange_name)
        super().open(exchange_name)


class SharesItsQueue(Base):
    def __init__(self, broker: InMemoryBroker, _subscriber: str = "app") -> None:
        super().__init__(broker)


class FoldsNames(Base):
    @override
    def open(self, exchange_name: str) -> None:
        super().open(exchange_name.replace("_", "-"))


class CutsNames(Base):
    @override
    def open(self, exchange_name: str) -> None:
        super().open(exchange_name[:126])


class GivesBackTheFirstHundred(Base):
    """As one that asks for what is pending once, and not until there is no more."""

    given: set[str]
    forgotten: set[str]

    def __init__(self, broker: InMemoryBroker, subscriber: str = "app") -> None:
        super().__init__(broker, subscriber)
        self.given = set()

    @override
    def open(self, exchange_name: str) -> None:
        super().open(exchange_name)
        self.forgotten = set(sorted(self.given, key=int)[100:])

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        while message := super().receive(timeout):
            self.given.add(message.message_id)
            if message.message_id not in self.forgotten:
                return message
        return None


class GivesBackTheFirstHundredTwice(Base):
    """As one that asks for what is pending from the beginning each time."""

    AHEAD = 100

    def __init__(self, broker: InMemoryBroker, subscriber: str = "app") -> None:
        super().__init__(broker, subscriber)
        self.given: set[str] = set()
        self.again = False

    @override
    def open(self, exchange_name: str) -> None:
        super().open(exchange_name)
        self.again = len(self.given) > self.AHEAD

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        if self.again and self._next_place == self.AHEAD:
            self._next_place, self.again = 0, False
        message = super().receive(timeout)
        if message is not None:
            self.given.add(message.message_id)
        return message


class TakesQuietForBroken(Base):
    """As a client whose connection gives up sooner than the caller."""

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        message = super().receive(min(timeout, 2.0))
        if message is None and timeout > 2.0:
            raise BrokerUnavailableError("timed out", exchange_name="")
        return message


class LetsTheLibrarysErrorThrough(Base):
    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        try:
            return super().receive(timeout)
        except DeliveryError as error:
            raise ConnectionResetError("by peer") from error


class LosesTheContentType(Base):
    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        message = super().receive(timeout)
        return message and replace(message, content_type="application/json")


class TakesARefusalForAbsence(Base):
    @override
    def open(self, exchange_name: str) -> None:
        try:
            super().open(exchange_name)
        except BrokerRefusedError as error:
            raise BrokerUnavailableError(f"{error}", exchange_name=exchange_name) from error
