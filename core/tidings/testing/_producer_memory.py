"""What a broker remembers of a producer, and of which event store."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tidings.errors import DeliveryError
from tidings.interfaces import Accepted, Capability, Position, fingerprint_of
from tidings.testing import samples
from tidings.testing._judging import check
from tidings.testing._kit import expect_none_lost, expect_order, few
from tidings.testing.promises import Producer
from tidings.testing.proxy import TcpProxy

if TYPE_CHECKING:
    from tidings.interfaces import Notification
    from tidings.testing._driver import DrivenProducer
    from tidings.testing._kit import Kit
    from tidings.testing.proxy import Link

LATE = 0.5
"""Seconds within which the proxy carries what waits."""

STORE, ANOTHER_STORE = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
"""Two event stores' identities."""


class MemoryPromises:
    """What holds with ``Capability.MOST_RECENT_ACCEPTED``."""

    def test_the_broker_remembers_the_newest_event(self, kit: Kit, exchange_name: str) -> None:
        kit.need(Capability.MOST_RECENT_ACCEPTED)
        first = kit.producer()
        first.open(exchange_name, Position(0, 0, STORE))
        self._expect_most_recent(first, exchange_name, None)
        sent = samples.notifications(5, 10, step=3)
        kit.send_and_flush(first, exchange_name, sent)
        first.close(exchange_name)
        second = kit.producer()
        kit.open_in_turn(second, exchange_name, Position(5, 0, STORE))
        self._expect_most_recent(second, exchange_name, sent[-1])

    def test_the_broker_remembers_nothing_of_another_generation(
        self, kit: Kit, exchange_name: str
    ) -> None:
        kit.need(Capability.MOST_RECENT_ACCEPTED)
        first = kit.producer()
        first.open(exchange_name, Position(0, 3, STORE))
        sent = samples.notifications(1, 10)
        kit.send_and_flush(first, exchange_name, sent)
        first.close(exchange_name)
        second = kit.producer()
        kit.open_in_turn(second, exchange_name, Position(0, 4, STORE))
        self._expect_not_ours(second, exchange_name, Position(0, 4, STORE))
        kit.send_and_flush(second, exchange_name, sent[:2])
        second.close(exchange_name)
        third = kit.producer()
        kit.open_in_turn(third, exchange_name, Position(0, 4, STORE))
        self._expect_most_recent(third, exchange_name, sent[1], generation=4)

    def test_what_another_store_sent_is_not_taken_for_this_stores(
        self, kit: Kit, exchange_name: str
    ) -> None:
        kit.need(Capability.MOST_RECENT_ACCEPTED)
        other = kit.producer()
        other.open(exchange_name, Position(0, 0, ANOTHER_STORE))
        foreign = samples.notifications(1, 10)
        kit.send_and_flush(other, exchange_name, foreign)
        other.close(exchange_name)
        expect_none_lost(foreign, kit.read(exchange_name, foreign))
        producer = kit.producer()
        for _ in range(2):
            kit.open_in_turn(producer, exchange_name, Position(0, 0, STORE))
            self._expect_not_ours(producer, exchange_name, Position(0, 0, STORE), foreign[-1])
            producer.close(exchange_name)
        own = [samples.notification(each, type_name="Own") for each in (1, 2)]
        kit.open_in_turn(producer, exchange_name, Position(0, 1, STORE))
        kit.send_and_flush(producer, exchange_name, own)
        producer.close(exchange_name)
        arrived = [(m.message_id, m.type_name) for m in kit.read(exchange_name, own)]
        check(
            arrived == [("1", "Own"), ("2", "Own")],
            Producer.NOTHING_DROPPED,
            "Events 1 and 2 of a store that was replayed were accepted after another store had "
            f"sent events of these ids; there arrived {arrived}.",
        )
        kit.open_in_turn(producer, exchange_name, Position(0, 1, STORE))
        self._expect_most_recent(producer, exchange_name, own[-1], generation=1)

    def test_what_a_dead_producer_left_on_its_way_does_not_arrive_later(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        kit.need(Capability.MOST_RECENT_ACCEPTED)
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

    def test_who_was_overtaken_goes_on_behind_the_other(self, kit: Kit, exchange_name: str) -> None:
        kit.need(Capability.MOST_RECENT_ACCEPTED)
        if Capability.LOCK in kit.capabilities:
            pytest.skip("declared: lock")
        slow, other = kit.producer(), kit.producer()
        sent = samples.notifications(1, 20)
        kit.store(exchange_name, sent)
        slow.open(exchange_name)
        other.deliver(exchange_name, sent[:10])
        other.close(exchange_name)
        try:
            slow.send(exchange_name, sent[:5])
            slow.flush(exchange_name)
        except DeliveryError as error:
            check(
                error.transient,
                Producer.MOST_RECENT_MEANS,
                "Another producer had sent events 1 to 10 meanwhile; that passes with the next "
                f"opening, and send() and flush() of 1 to 5 raised {error!r}.",
            )
        slow.close(exchange_name)
        slow.deliver(exchange_name, sent)
        kit.expect_exactly_once(slow, exchange_name, sent)

    def _expect_most_recent(
        self,
        producer: DrivenProducer,
        exchange_name: str,
        newest: Notification | None,
        generation: int = 0,
    ) -> None:
        found = producer.most_recent_accepted(exchange_name)
        wanted = None
        if newest is not None:
            mark = fingerprint_of(newest.type_name, newest.occurred_on)
            wanted = Accepted(newest.event_id, mark, generation, found.store if found else "")
        check(
            found == wanted and (found is None or found.store in ("", STORE)),
            f"{Producer.MOST_RECENT} {Producer.NEVER_AN_ID_ALONE}",
            f"The newest event accepted for store {STORE!r} is {wanted}, and "
            f"most_recent_accepted() is {found!r}.",
        )

    def _expect_not_ours(
        self,
        producer: DrivenProducer,
        exchange_name: str,
        position: Position,
        foreign: Notification | None = None,
    ) -> None:
        """See that the broker's memory, which is of others, is not said to be ours."""
        found = producer.most_recent_accepted(exchange_name)
        is_ours = found is not None and found[2:] == position[1:]
        check(
            not is_ours,
            Producer.GENERATION,
            f"Opened at {position}, which has sent nothing yet, most_recent_accepted() is {found}.",
        )
        if foreign is not None and found is not None:
            mark = fingerprint_of(foreign.type_name, foreign.occurred_on)
            check(
                found[:2] == (foreign.event_id, mark) and found.store in ("", ANOTHER_STORE),
                f"{Producer.GENERATION}: {Producer.OPENING_KEEPS}",
                f"The broker holds {foreign.event_id} ({mark}) of store {ANOTHER_STORE!r}, and "
                f"most_recent_accepted() is {found}.",
            )
