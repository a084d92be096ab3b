"""What a producer promises beyond its interface, by capability."""

from __future__ import annotations

import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.errors import (
    BrokerUnavailableError,
    DeliveryError,
    ExchangeLockedError,
    NotAcceptedError,
)
from tidings.interfaces import Capability, Position
from tidings.testing import samples
from tidings.testing._capabilities import expect_the_same
from tidings.testing._judging import broken, check
from tidings.testing.promises import Producer
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.testing._kit import Kit
    from tidings.testing.proxy import Link


BRIEF = 0.1

MEANWHILE = 100
"""How many events are sent while a broker is silent: fewer than any window."""

HASTY = 0.4
"""How much of the no-progress time must have passed; a heartbeat may end a connection sooner."""

PERSONAL = b"Antoinette Doe"
"""What stands in a body, and must not be shown."""


class CapabilityPromises:
    """What holds if the capability is declared."""

    can_reject: ClassVar[bool]
    no_progress_seconds: ClassVar[float]
    grace: ClassVar[float]

    def test_the_producer_says_the_same_capabilities(self, kit: Kit) -> None:
        said = kit.producer().producer.capabilities
        expect_the_same(said, kit.capabilities, Producer.CAPABILITIES, "make_producer")

    def test_an_unroutable_message_is_not_accepted(
        self, kit: Kit, exchange_name: str, unbind: Callable[[str], None]
    ) -> None:
        kit.need(Capability.UNROUTABLE)
        # if there is no broker that gives it back, the silence of the subscribers says it
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
        kit.need(Capability.LOCK)
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
        kit.need(Capability.OUT_OF_ORDER)
        producer = kit.producer()
        *sent, late = samples.notifications(5, 10)
        late = late._replace(event_id=3)
        kit.store(exchange_name, [late, *sent])
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, sent)
        producer.close(exchange_name)
        kit.open_in_turn(producer, exchange_name, Position(sent[-1].event_id))
        kit.send_and_flush(producer, exchange_name, [late])
        producer.close(exchange_name)
        ids = [int(arrived.message_id) for arrived in kit.read(exchange_name, [*sent, late])]
        check(
            ids == [*range(5, 14), 3],
            Producer.OUT_OF_ORDER,
            f"Event 3 was sent after 5 to 13 and said to be accepted; there arrived {ids}.",
        )

    def test_waiting_is_enough_if_it_settles(self, kit: Kit, exchange_name: str) -> None:
        kit.need(Capability.WAIT_SETTLES)
        producer = kit.producer()
        producer.open(exchange_name)
        sent = samples.notifications(1, 3)
        kit.store(exchange_name, sent)
        producer.send(exchange_name, sent)

        def accepted() -> bool:
            producer.wait(exchange_name, 0.02)
            return producer.accepted_id(exchange_name) == sent[-1].event_id

        check(
            until(accepted, kit.patience),
            Producer.WAIT_SETTLES,
            f"Events 1 to 3 were sent, wait() was called for {kit.patience:g} s, and accepted_id() "
            f"is {producer.accepted_id(exchange_name)!r}.",
        )
        kit.expect_exactly(exchange_name, sent)

    def test_waiting_gives_up_a_silent_broker_whatever_is_sent_meanwhile(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        kit.need(Capability.WAIT_SETTLES)
        producer = kit.producer(via=link.address)
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, samples.notifications(1, 1))
        link.freeze()
        unsent = samples.notifications(2, MEANWHILE)
        kit.store(exchange_name, unsent)
        seconds = self.no_progress_seconds + self.grace
        begun = time.monotonic()
        try:
            for place, each in enumerate(unsent, 1):
                producer.send(exchange_name, [each])
                while time.monotonic() - begun < seconds * place / MEANWHILE:
                    producer.wait(exchange_name, self.no_progress_seconds / MEANWHILE)
        except BrokerUnavailableError:
            pass
        else:
            broken(
                Producer.WAIT_KEEPS_TIME,
                f"The connection carried nothing for {seconds:g} s, one event was sent after the "
                "other, and wait() raised nothing.",
            )

    def test_time_with_nothing_in_flight_is_no_silence(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        kit.need(Capability.WAIT_SETTLES)
        producer = kit.producer(via=link.address)
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, samples.notifications(1, 1))
        idle_until = time.monotonic() + self.no_progress_seconds
        while time.monotonic() < idle_until:
            producer.wait(exchange_name, BRIEF)
        link.freeze()
        unsent = samples.notifications(2, 1)
        kit.store(exchange_name, unsent)
        begun = time.monotonic()
        try:
            producer.send(exchange_name, unsent)
            producer.wait(exchange_name, self.no_progress_seconds / MEANWHILE)
        except BrokerUnavailableError as error:
            took = time.monotonic() - begun
            check(
                took >= HASTY * self.no_progress_seconds,
                Producer.WAIT_KEEPS_TIME,
                f"Event 2 was sent when nothing had been in flight for "
                f"{self.no_progress_seconds:g} s, and {took:.2f} s later there was {error!r}.",
            )

    def test_a_message_arrives_with_its_routing_key(self, kit: Kit, exchange_name: str) -> None:
        kit.need(Capability.ROUTING)
        producer = kit.producer()
        keys = ["shop.OrderPlaced", "shop.OrderPaid", "billing", "shop.OrderPlaced"]
        sent = [
            each._replace(message=each.message._replace(routing_key=key))
            for each, key in zip(samples.notifications(1, len(keys)), keys, strict=True)
        ]
        kit.store(exchange_name, sent)
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, sent)
        producer.close(exchange_name)
        arrived = [message.routing_key for message in kit.read(exchange_name, sent)]
        check(
            arrived == keys,
            Producer.ROUTING,
            f"Events were sent with the routing keys {keys}, and arrived with {arrived}.",
        )

    def test_each_message_arrives_in_its_partition(self, kit: Kit, exchange_name: str) -> None:
        kit.need(Capability.PARTITIONS)
        producer = kit.producer()
        sent = samples.parted(1, 40)
        kit.store(exchange_name, sent)
        producer.open(exchange_name, partitions=samples.PARTITIONS)
        kit.send_and_flush(producer, exchange_name, sent)
        producer.close(exchange_name)
        arrived = kit.read(exchange_name, sent)
        for partition in range(samples.PARTITIONS):
            wanted = [each.event_id for each in sent if each.message.partition == partition]
            found = [int(each.message_id) for each in arrived if each.partition == partition]
            check(
                found == wanted,
                Producer.PARTITIONS,
                f"The events {wanted} belong to partition {partition}; from it came {found}.",
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
        sent = [samples.notification(each, b'{"name":"%s"}' % PERSONAL) for each in range(1, 21)]
        kit.store(exchange_name, sent)
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, sent[:10])
        error: DeliveryError | None = None
        try:
            # What the author does may take longer than the broker is patient with the silent.
            with ThreadPoolExecutor(1) as elsewhere:
                refusing = elsewhere.submit(refuse, exchange_name)
                while not refusing.done():
                    producer.wait(exchange_name, BRIEF)
            refusing.result()
            producer.send(exchange_name, sent[10:])
            producer.flush(exchange_name)
        except DeliveryError as raised:
            error = raised
        check(
            isinstance(error, how),
            Producer.UNROUTABLE,
            f"Events 11 to 20 were sent while {why}; send() and flush() ended in {error!r}.",
        )
        check(
            PERSONAL.decode() not in "".join(traceback.format_exception(error)),
            Producer.NO_SECRET,
            f"Events 11 to 20 were sent while {why}, and the error shows what is in one: {error}",
        )
        accepted = producer.accepted_id(exchange_name)
        check(
            accepted == sent[9].event_id,
            Producer.UNROUTABLE,
            f"Events 11 to 20 were sent while {why}, and accepted_id() is {accepted}.",
        )
        producer.close(exchange_name)
        kit.expect_exactly(exchange_name, sent[:10])
