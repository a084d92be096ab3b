"""What the producer suite works with: driven producers, the oracle, the events sent."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tidings.errors import ExchangeLockedError
from tidings.interfaces import Capability, Notification, ReceivedMessage
from tidings.plugins.specs import ProducerContext
from tidings.testing._driver import NO_SUBSCRIBER, DeliveryFailures, DrivenProducer
from tidings.testing._judging import broken, check
from tidings.testing._making import make_at
from tidings.testing.promises import Producer, Wire
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces import MessageProducer, Position
    from tidings.testing._making import MakeProducer


UNLOCK = 30.0
"""Seconds within which a broker lets go of the lock of a producer that was closed."""


class StandInStore:
    """Stands in for the event store: every notification that a test sends is in it before."""

    def __init__(self) -> None:
        self._notifications: dict[str, dict[int, Notification]] = {}

    def add(self, exchange_name: str, notifications: Sequence[Notification]) -> None:
        """Store notifications."""
        stored = self._notifications.setdefault(exchange_name, {})
        stored.update({each.event_id: each for each in notifications})

    def since(self, exchange_name: str, event_id: int, limit: int) -> Sequence[Notification]:
        """Return the exchange's notifications after ``event_id``, ascending."""
        # a producer may ask from a thread of its own while the test adds
        stored = self._notifications.get(exchange_name, {}).copy()
        return [stored[each] for each in sorted(stored) if each > event_id][:limit]

    @property
    def context(self) -> ProducerContext:
        """What a producer's factory is given."""
        return ProducerContext(self.since)


class Kit:
    """Makes driven producers, and compares what was sent with what arrived."""

    def __init__(
        self,
        make_producer: MakeProducer,
        read_back: Callable[[str, int], Sequence[ReceivedMessage]],
        event_store: StandInStore,
        *,
        capabilities: frozenset[Capability],
        patience: float,
        secrets: Sequence[str],
    ) -> None:
        self._make_producer = make_producer
        self._read_back = read_back
        self._event_store = event_store
        self._secrets = secrets
        self._producers: list[DrivenProducer] = []
        self.capabilities = capabilities
        self.patience = patience

    def producer(self, via: tuple[str, int] | None = None) -> DrivenProducer:
        """Make a producer that is closed when the test ends."""
        return self.drive(lambda: make_at(self._make_producer, via))

    def drive(self, make: Callable[[], MessageProducer]) -> DrivenProducer:
        """Drive a producer that ``make`` makes."""
        producer = DrivenProducer(make, self.patience, self.capabilities, self._secrets)
        self._producers.append(producer)
        return producer

    def need(self, capability: Capability) -> None:
        """Skip the test unless the capability is declared."""
        if capability not in self.capabilities:
            pytest.skip(f"declared: no {capability.value}")

    def open_in_turn(
        self, producer: DrivenProducer, exchange_name: str, position: Position
    ) -> None:
        """Open as soon as the broker has let go of the last producer."""

        def opened() -> bool:
            try:
                producer.open(exchange_name, position)
            except ExchangeLockedError:
                return False
            return True

        check(until(opened, UNLOCK), Producer.LOCK, f"The lock outlives close() by {UNLOCK:g} s.")

    def store(self, exchange_name: str, notifications: Sequence[Notification]) -> None:
        """Put notifications into the store, where a relay would have read them."""
        self._event_store.add(exchange_name, notifications)

    def send_and_flush(
        self, producer: DrivenProducer, exchange_name: str, notifications: Sequence[Notification]
    ) -> None:
        """Store, send and flush on an open exchange."""
        self.store(exchange_name, notifications)
        producer.send(exchange_name, notifications)
        producer.flush(exchange_name)

    def read(self, exchange_name: str, sent: Sequence[Notification]) -> list[ReceivedMessage]:
        """Return what arrived, until every one of ``sent`` has, or no more comes."""
        missing = {str(each.event_id) for each in sent}
        arrived: list[ReceivedMessage] = []
        while missing:
            more = list(self._read_back(exchange_name, len(missing)))
            if not more:
                break
            for message in more:
                check(
                    isinstance(message, ReceivedMessage),
                    "read_back gives ReceivedMessage objects",
                    f"read_back gave {message!r}.",
                )
            arrived += more
            missing -= {message.message_id for message in more}
        return arrived

    def expect_exactly_once(
        self, producer: DrivenProducer, exchange_name: str, sent: Sequence[Notification]
    ) -> None:
        """Send one more, so that whatever came twice came before it; then expect exactly all."""
        last = Notification(sent[-1].message, "Last", sent[-1].event_id + 1, sent[-1].occurred_on)
        self.send_and_flush(producer, exchange_name, [last])
        self.expect_exactly(exchange_name, [*sent, last])

    def expect_exactly(self, exchange_name: str, sent: Sequence[Notification]) -> None:
        """Fail unless exactly ``sent`` arrived, in order, unchanged, each once."""
        arrived = self.read(exchange_name, sent)
        expect_none_lost(sent, arrived)
        ids = [message.message_id for message in arrived]
        twice = [each for each, count in Counter(ids).items() if count > 1]
        check(
            not twice,
            Producer.NOTHING_DROPPED,
            f"{len(twice)} event(s) arrived more than once although no call failed: {few(twice)}.",
        )
        expect_order(arrived)
        expect_contents(sent, arrived)

    def expect_first_deliveries(
        self, exchange_name: str, sent: Sequence[Notification], failures: DeliveryFailures
    ) -> None:
        """Fail unless all arrived, first deliveries in order, again only what may."""
        arrived = self.read(exchange_name, sent)
        expect_none_lost(sent, arrived)
        firsts = {message.message_id: message for message in reversed(arrived)}
        seen = dict.fromkeys(message.message_id for message in arrived)
        expect_order([firsts[each] for each in seen])
        expect_contents(sent, [firsts[each] for each in seen])
        twice = [
            int(each) for each, count in Counter(m.message_id for m in arrived).items() if count > 1
        ]
        if Capability.MOST_RECENT_ACCEPTED in self.capabilities:
            check(
                not twice,
                Producer.MOST_RECENT_MEANS,
                f"{len(twice)} event(s) arrived more than once: {few(twice)}.",
            )
        accepted = max(failures.accepted, default=0)
        wrong = [each for each in twice if each <= min(failures.accepted, default=0)]
        check(
            not wrong,
            Producer.NOTHING_DROPPED,
            f"Accepted up to {accepted} when the connection failed, and {few(wrong)} came again.",
        )

    def end(self) -> None:
        """Close every producer that the test made."""
        for producer in self._producers:
            producer.end()


def expect_none_lost(sent: Sequence[Notification], arrived: Sequence[ReceivedMessage]) -> None:
    """Fail if one of ``sent`` is not among what arrived."""
    seen = {message.message_id for message in arrived}
    lost = [each.event_id for each in sent if str(each.event_id) not in seen]
    hint = f" {NO_SUBSCRIBER}" if lost and not seen else ""
    check(
        not lost,
        Producer.FLUSH,
        f"{len(lost)} of {len(sent)} event(s) that the producer said were accepted cannot be read "
        f"back from the broker: {few(lost)}. They are lost, or were said to be accepted too early."
        f"{hint}",
    )


def expect_order(arrived: Sequence[ReceivedMessage], promise: str = Producer.ORDER) -> None:
    """Fail if an event arrived before one with a lower id."""
    ids = [int(message.message_id) for message in arrived]
    for earlier, later in itertools.pairwise(ids):
        if later < earlier:
            broken(promise, f"Event {later} arrived after event {earlier}.")


def expect_contents(sent: Sequence[Notification], arrived: Sequence[ReceivedMessage]) -> None:
    """Fail if something did not arrive as it was sent."""
    by_id = {message.message_id: message for message in arrived}
    for event in sent:
        message = by_id[str(event.event_id)]
        pairs = {
            "type_name": (event.type_name, message.type_name),
            "body": (event.message.body, message.body),
            "content_type": (event.message.content_type, message.content_type),
            "headers": (dict(event.message.headers), dict(message.headers)),
            "occurred_on": (event.occurred_on, message.occurred_on),
        }
        for name, (wanted, got) in pairs.items():
            check(
                wanted == got,
                Wire.MESSAGE,
                f"The {name} of event {event.event_id} was sent as {short(wanted)} and arrived as "
                f"{short(got)}.",
            )


def few(items: Sequence[object]) -> str:
    """Return the first few of many, for a sentence."""
    shown = ", ".join(str(item) for item in items[:5])
    return shown + (", …" if len(items) > 5 else "")  # noqa: PLR2004 - as many as read well


def short(value: object) -> str:
    """Return a value's repr, cut if it is long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"  # noqa: PLR2004
