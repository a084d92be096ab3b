"""Open exchanges with one fault each, and a few producers, for the suite to find."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.builtin.memory import InMemoryBroker, InMemoryProducer
from tidings.errors import (
    BrokerUnavailableError,
    DeliveryError,
    ExchangeLockedError,
    UndeliverableEventError,
)
from tidings.interfaces import Capability, OpenExchange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.builtin.memory.state import InMemoryConnection
    from tidings.interfaces import Accepted, ExchangeContext, Notification

SECRET = "hunter2"
UNDELIVERABLE = "Too large"


class Producer(InMemoryProducer):
    """Opens exchanges of the kind that it is given, one by one over sound ones."""

    def __init__(self, broker: InMemoryBroker, no_progress: float, opens: type[Base]) -> None:
        super().__init__(broker, no_progress=no_progress, window=opens.window)
        self.capabilities |= opens.capabilities
        self.opened: list[Base] = []
        self._opens = opens

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        self.opened.append(self._opens(self, context))
        return self.opened[-1]

    def open_sound(self, context: ExchangeContext) -> OpenExchange:
        return super().open_exchange(context)


class Base(OpenExchange):
    """Does everything as the sound exchange does; each fault does one thing otherwise."""

    window = 1000
    capabilities: frozenset[Capability] = frozenset()

    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        self.producer, self.context, self.name = producer, context, context.exchange_name
        self.broker = producer.broker
        self.sound = producer.open_sound(context)

    @property
    def connection(self) -> InMemoryConnection:
        (found,) = [e for e in self.broker._connections if e.exchange_name == self.name]
        return found

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        for notification in notifications:
            if notification.type_name == UNDELIVERABLE:
                raise refused(self.name, notification.event_id)
            self.send_one(notification)

    def send_one(self, notification: Notification) -> None:
        self.sound.send([notification])

    @override
    def flush(self, timeout: float | None = None) -> None:
        self.sound.flush(timeout)

    @override
    def accepted_id(self) -> int | None:
        return self.sound.accepted_id()

    @override
    def most_recent_accepted(self) -> Accepted | None:
        return self.sound.most_recent_accepted()

    @override
    def wait(self, seconds: float) -> None:
        self.sound.wait(seconds)

    @override
    def close(self) -> None:
        self.sound.close()


def refused(exchange_name: str, event_id: int) -> UndeliverableEventError:
    return UndeliverableEventError(
        f"{exchange_name}: event {event_id} is too large",
        exchange_name=exchange_name,
        event_id=event_id,
    )


class CannotReopen(Base):
    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        if "closed" in context.memory:
            raise BrokerUnavailableError(
                f"Exchange {context.exchange_name!r}: the channel is closed",
                exchange_name=context.exchange_name,
            )
        super().__init__(producer, context)

    @override
    def close(self) -> None:
        self.context.memory["closed"] = True
        super().close()


class LeaksItsConnection(Base):
    @override
    def close(self) -> None:
        connection = self.connection
        super().close()
        self.broker._connections.append(connection)


class LeaksWhatItOpenedInVain(Base):
    """As a client whose constructor connects, and whose login then fails."""

    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        try:
            super().__init__(producer, context)
        except DeliveryError:
            producer.broker.thaw()
            producer.open_sound(context)
            raise


class LeaksItsThread(Base):
    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        super().__init__(producer, context)
        threading.Thread(target=time.sleep, args=(30,), name="heartbeat", daemon=True).start()


class Whole(Producer):
    """A producer with a fault of its own, whose exchanges are sound."""

    def __init__(self, broker: InMemoryBroker, no_progress: float) -> None:
        super().__init__(broker, no_progress, Base)


class ConnectsWhenMade(Whole):
    """As a client that looks whether the broker is there, and lets go again."""

    def __init__(self, broker: InMemoryBroker, no_progress: float) -> None:
        super().__init__(broker, no_progress)
        with suppress(DeliveryError):
            broker.disconnect(broker.connect("probe", 0.1, publisher=False))


class NeedsTheBrokerWhenMade(Whole):
    def __init__(self, broker: InMemoryBroker, no_progress: float) -> None:
        super().__init__(broker, no_progress)
        if broker._refusing:
            raise BrokerUnavailableError("there is no broker", exchange_name="")


class FoldsNames(Whole):
    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        name = context.exchange_name.replace("_", "-")
        self.broker._exchange(name).publisher = None
        return super().open_exchange(replace(context, exchange_name=name))


class CutsNames(Whole):
    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        name = context.exchange_name[:126]
        self.broker._exchange(name).publisher = None
        return super().open_exchange(replace(context, exchange_name=name))


class SharesItsFailure(Base):
    """As exchanges on one connection: while one of them has failed, none works."""

    @override
    def flush(self, timeout: float | None = None) -> None:
        for other in self.producer.opened:
            try:
                other.sound.flush(timeout)
            except DeliveryError as error:
                raise BrokerUnavailableError(
                    f"{self.name}: {error}", exchange_name=self.name
                ) from error

    @override
    def close(self) -> None:
        self.producer.opened.remove(self)
        super().close()


class ForgetsWhatAFailedOneHad(Base):
    @override
    def accepted_id(self) -> int | None:
        failed = self.sound._connection.error is not None  # type: ignore[attr-defined]
        return None if failed else super().accepted_id()


class FailsWithWhoIsLockedOut(Base):
    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        try:
            super().__init__(producer, context)
        except ExchangeLockedError:
            producer.broker.cut()
            raise


class SaysWhatItCannotDo(Base):
    capabilities = frozenset({Capability.REMEMBERS_DURABLY})


class HasNoSubscriber(Base):
    """Finds an exchange that nobody is bound to."""

    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        super().__init__(producer, context)
        self.broker.unbind(self.name)


class SendsNowhere(Whole):
    """As with a broker that doesn't tell when nobody got a message."""

    def __init__(self, _broker: InMemoryBroker, no_progress: float) -> None:
        super().__init__(InMemoryBroker(), no_progress)


class SaysItsSecret(Base):
    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        try:
            super().__init__(producer, context)
        except DeliveryError as error:
            raise BrokerUnavailableError(
                f"{self.name}: cannot connect to amqp://guest:{SECRET}@localhost",
                exchange_name=self.name,
            ) from error


class LogsItsSecret(Base):
    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        logging.getLogger("faulty").debug("connecting to amqp://guest:%s@localhost", SECRET)
        super().__init__(producer, context)


class KeepsToOneThread(Base):
    """As a library does whose objects belong to the thread that made them."""

    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        super().__init__(producer, context)
        self.thread = threading.current_thread()

    @override
    def flush(self, timeout: float | None = None) -> None:
        if threading.current_thread() != self.thread:
            raise RuntimeError("this object belongs to another thread")
        super().flush(timeout)


class DoesNotNameTheExchange(Base):
    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        try:
            super().__init__(producer, context)
        except DeliveryError:
            raise BrokerUnavailableError("()", exchange_name=self.name) from None


class QuotesTheEvent(Base):
    """As a library whose error quotes the command that failed."""

    @override
    def send_one(self, notification: Notification) -> None:
        try:
            super().send_one(notification)
        except DeliveryError as error:
            error.args = (f"{error}: {notification}",)
            raise


class AcceptsItsPosition(Base):
    @override
    def accepted_id(self) -> int | None:
        return super().accepted_id() or self.context.position.event_id or None


class TakesNoLock(Base):
    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        super().__init__(producer, context)
        self.broker._exchange(self.name).publisher = None


class ForgetsTheGeneration(Base):
    @override
    def most_recent_accepted(self) -> Accepted | None:
        last = super().most_recent_accepted()
        return last and last._replace(generation=self.context.position.generation)


class ForgetsTheStore(Base):
    @override
    def most_recent_accepted(self) -> Accepted | None:
        last = super().most_recent_accepted()
        return last and last._replace(store=self.context.position.store)


class RemembersAnIdAlone(Base):
    @override
    def most_recent_accepted(self) -> Accepted | None:
        last = super().most_recent_accepted()
        return last and last._replace(fingerprint=None)


class ForgetsWhenOpened(Base):
    """As a token that whoever opens writes anew in its own name."""

    def __init__(self, producer: Producer, context: ExchangeContext) -> None:
        super().__init__(producer, context)
        exchange = self.broker._exchange(self.name)
        if exchange.last and exchange.last[2:] != context.position[1:]:
            exchange.last = exchange.last._replace(event_id=1)


class ClosesWithAnError(Base):
    @override
    def close(self) -> None:
        super().close()
        raise KeyError(self.name)


class DoesNothingInNoTime(Base):
    """As a client that works while there is time left."""

    @override
    def wait(self, seconds: float) -> None:
        if seconds > 0:
            super().wait(seconds)


class NeverNotices(Base):
    @override
    def wait(self, seconds: float) -> None:
        time.sleep(seconds)
