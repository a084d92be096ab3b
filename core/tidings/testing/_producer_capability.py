"""What a producer promises beyond its interface, by capability."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.errors import (
    BrokerUnavailableError,
    DeliveryError,
    ExchangeLockedError,
    NotAcceptedError,
)
from tidings.interfaces import Position
from tidings.plugins.specs import Capability
from tidings.testing import _samples as samples
from tidings.testing._kit import expect_none_lost, expect_order, few, until
from tidings.testing.promises import Producer, check
from tidings.testing.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.testing._driver import DrivenProducer
    from tidings.testing._kit import Kit
    from tidings.testing.proxy import Link


LATE = 0.5
"""Seconds within which the proxy carries what waits."""

UNLOCK = 30.0
"""Seconds within which a broker lets go of the lock of a producer that was closed."""


class CapabilityPromises:
    """What holds where the capability is declared."""

    capabilities: ClassVar[frozenset[Capability]]
    can_reject: ClassVar[bool]

    def test_an_unroutable_message_is_not_accepted(
        self, kit: Kit, exchange_name: str, unbind: Callable[[str], None]
    ) -> None:
        self._need(Capability.UNROUTABLE)
        # where there is no broker that gives it back, the silence of the subscribers says it
        how = (NotAcceptedError, BrokerUnavailableError)
        self._expect_refusal(kit, exchange_name, unbind, "no subscriber gets them", how)

    def test_a_rejected_message_is_not_accepted(
        self, kit: Kit, exchange_name: str, reject: Callable[[str], None]
    ) -> None:
        if not self.can_reject:
            pytest.skip("declared: can_reject = False")
        how = (NotAcceptedError,)
        self._expect_refusal(kit, exchange_name, reject, "the broker rejects them", how)

    def test_a_second_producer_is_locked_out_until_the_first_closes(
        self, kit: Kit, exchange_name: str
    ) -> None:
        self._need(Capability.LOCK)
        first, second = kit.producer(), kit.producer()
        sent = samples.notifications(1, 30)
        kit.store(exchange_name, sent)
        first.open(exchange_name)
        kit.send_and_flush(first, exchange_name, sent[:10])
        try:
            second.open(exchange_name, Position(10))
        except ExchangeLockedError:
            second.close(exchange_name)
        else:
            check(False, Producer.LOCK, "A second producer opened an exchange that was open.")
        kit.send_and_flush(first, exchange_name, sent[10:20])
        first.close(exchange_name)
        failures = second.deliver(exchange_name, sent, after=20)
        others = [each for each in failures.errors if not isinstance(each, ExchangeLockedError)]
        check(not others, Producer.LOCK, f"After the first closed, the second met {others}.")
        kit.expect_exactly(exchange_name, sent)

    def test_an_event_that_comes_late_arrives_behind_the_others(
        self, kit: Kit, exchange_name: str
    ) -> None:
        self._need(Capability.OUT_OF_ORDER)
        producer = kit.producer()
        *sent, late = samples.notifications(5, 10)
        late = late._replace(event_id=3)
        kit.store(exchange_name, [late, *sent])
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, sent)
        producer.close(exchange_name)
        self._open(producer, exchange_name, Position(sent[-1].event_id))
        kit.send_and_flush(producer, exchange_name, [late])
        producer.close(exchange_name)
        ids = [int(arrived.message_id) for arrived in kit.read(exchange_name, [*sent, late])]
        check(
            ids == [*range(5, 14), 3],
            Producer.OUT_OF_ORDER,
            f"Event 3 was sent after 5 to 13 and said to be accepted; there arrived {ids}.",
        )

    def test_the_broker_remembers_the_newest_id(self, kit: Kit, exchange_name: str) -> None:
        self._need(Capability.MOST_RECENT_ACCEPTED_ID)
        first = kit.producer()
        first.open(exchange_name)
        self._expect_most_recent(first, exchange_name, None)
        sent = samples.notifications(5, 10, step=3)
        kit.send_and_flush(first, exchange_name, sent)
        first.close(exchange_name)
        second = kit.producer()
        self._open(second, exchange_name, Position(5))
        self._expect_most_recent(second, exchange_name, sent[-1].event_id)

    def test_the_broker_remembers_nothing_of_another_generation(
        self, kit: Kit, exchange_name: str
    ) -> None:
        self._need(Capability.MOST_RECENT_ACCEPTED_ID)
        first = kit.producer()
        first.open(exchange_name, Position(0, 3))
        sent = samples.notifications(1, 10)
        kit.send_and_flush(first, exchange_name, sent)
        first.close(exchange_name)
        second = kit.producer()
        self._open(second, exchange_name, Position(0, 4))
        self._expect_most_recent(second, exchange_name, None)
        kit.send_and_flush(second, exchange_name, sent[:2])
        second.close(exchange_name)
        third = kit.producer()
        self._open(third, exchange_name, Position(0, 4))
        self._expect_most_recent(third, exchange_name, 2)

    def test_what_a_dead_producer_left_on_its_way_does_not_arrive_later(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        self._need(Capability.MOST_RECENT_ACCEPTED_ID)
        if not isinstance(link, TcpProxy):
            pytest.skip("declared: a link that is not the suite's proxy")
        dead, successor = kit.producer(via=link.address), kit.producer()
        # few enough to be carried at once: an answer to a client that is gone resets the rest
        sent = samples.notifications(1, 100)
        kit.store(exchange_name, sent)
        dead.open(exchange_name)
        kit.send_and_flush(dead, exchange_name, sent[:10])
        link.freeze()
        with suppress(DeliveryError):
            dead.send(exchange_name, sent[10:])
            dead.flush(exchange_name)
        # it is not closed, as if its machine had gone
        successor.deliver(exchange_name, sent, after=10)
        link.thaw()
        with suppress(DeliveryError):
            dead.wait(exchange_name, LATE)
        last = samples.notifications(101, 1)
        kit.send_and_flush(successor, exchange_name, last)
        arrived = kit.read(exchange_name, [*sent, *last])
        expect_none_lost([*sent, *last], arrived)
        ids = [message.message_id for message in arrived]
        twice = sorted({int(each) for each in ids if ids.count(each) > 1})
        check(
            not twice,
            Producer.MOST_RECENT_MEANS,
            "A producer lost its connection with events on their way; the next one delivered them, "
            f"and then {len(twice)} of them arrived from the first, too: {few(twice)}.",
        )
        expect_order(arrived)

    def _need(self, capability: Capability) -> None:
        if capability not in self.capabilities:
            pytest.skip(f"declared: no {capability.value}")

    def _open(self, producer: DrivenProducer, exchange_name: str, position: Position) -> None:
        """Open as soon as the broker has let go of the last producer."""

        def opened() -> bool:
            try:
                producer.open(exchange_name, position)
            except ExchangeLockedError:
                producer.close(exchange_name)
                return False
            return True

        check(until(opened, UNLOCK), Producer.LOCK, "The lock outlives close() by 30 s.")

    def _expect_most_recent(
        self, producer: DrivenProducer, exchange_name: str, event_id: int | None
    ) -> None:
        found = producer.most_recent_accepted_id(exchange_name)
        check(
            found == event_id,
            f"{Producer.MOST_RECENT} {Producer.GENERATION}",
            f"The broker accepted up to {event_id} in this generation, and "
            f"most_recent_accepted_id() is {found!r}.",
        )

    def _expect_refusal(
        self,
        kit: Kit,
        exchange_name: str,
        refuse: Callable[[str], None],
        why: str,
        how: tuple[type[DeliveryError], ...],
    ) -> None:
        producer = kit.producer()
        sent = samples.notifications(1, 20)
        kit.store(exchange_name, sent)
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, sent[:10])
        refuse(exchange_name)
        error: DeliveryError | None = None
        try:
            producer.send(exchange_name, sent[10:])
            producer.flush(exchange_name)
        except DeliveryError as raised:
            error = raised
        check(
            isinstance(error, how),
            Producer.UNROUTABLE,
            f"Events 11 to 20 were sent where {why}; send() and flush() ended in {error!r}.",
        )
        accepted = producer.accepted_id(exchange_name)
        check(
            accepted == sent[9].event_id,
            Producer.UNROUTABLE,
            f"Events 11 to 20 were sent where {why}, and accepted_id() is {accepted}.",
        )
        producer.close(exchange_name)
        kit.expect_exactly(exchange_name, sent[:10])
