"""A producer while everything works."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tidings.interfaces import Position
from tidings.testing import samples
from tidings.testing._judging import check
from tidings.testing.promises import Producer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces import Notification
    from tidings.testing._kit import Kit


class DeliveryPromises:
    """What holds while nothing fails."""

    many: ClassVar[int]
    largest_body: ClassVar[int]
    binary_bodies: ClassVar[bool]
    has_undeliverable: ClassVar[bool]

    def test_everything_sent_arrives_once_and_in_order(self, kit: Kit, exchange_name: str) -> None:
        sent = samples.notifications(1, self.many)
        producer = kit.producer()
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, sent)
        kit.expect_exactly_once(producer, exchange_name, sent)

    def test_a_batch_arrives_once_and_in_order(self, kit: Kit, exchange_name: str) -> None:
        sent = samples.notifications(1, 250)
        producer = kit.producer()
        producer.open(exchange_name)
        kit.store(exchange_name, sent)
        for start, end in ((0, 0), (0, 1), (1, 120), (120, 250)):
            producer.send_batch(exchange_name, sent[start:end])
        producer.flush(exchange_name)
        kit.expect_exactly(exchange_name, sent)
        accepted = producer.accepted_id(exchange_name)
        check(
            accepted == sent[-1].event_id,
            Producer.FLUSH,
            f"Batches up to event {sent[-1].event_id} were sent and flushed, and accepted_id() is "
            f"{accepted!r}.",
        )

    def test_ids_with_holes_up_to_the_largest_arrive(self, kit: Kit, exchange_name: str) -> None:
        sent = [samples.notification(event_id) for event_id in samples.IDS]
        producer = kit.producer()
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, sent)
        kit.expect_exactly(exchange_name, sent)
        accepted = producer.accepted_id(exchange_name)
        check(
            accepted == samples.IDS[-1],
            Producer.IDS,
            f"Up to {samples.IDS[-1]} was sent and flushed, and accepted_id() is {accepted}.",
        )

    def test_bodies_arrive_unchanged(self, kit: Kit, exchange_name: str) -> None:
        every = samples.bodies(self.largest_body).values()
        bodies = [body for body in every if self.binary_bodies or _is_text(body)]
        self._arrive(
            kit,
            exchange_name,
            [samples.notification(place, body) for place, body in enumerate(bodies, 1)],
        )

    def test_headers_arrive_unchanged(self, kit: Kit, exchange_name: str) -> None:
        self._arrive(
            kit,
            exchange_name,
            [
                samples.notification(place, headers=headers)
                for place, headers in enumerate(samples.HEADERS.values(), 1)
            ],
        )

    def test_times_arrive_to_the_microsecond(self, kit: Kit, exchange_name: str) -> None:
        self._arrive(
            kit,
            exchange_name,
            [
                samples.notification(place, occurred_on=time)
                for place, time in enumerate(samples.TIMES.values(), 1)
            ],
        )

    def test_type_names_and_content_types_arrive_unchanged(
        self, kit: Kit, exchange_name: str
    ) -> None:
        names = [
            samples.notification(place, type_name=name)
            for place, name in enumerate(samples.TYPE_NAMES.values(), 1)
        ]
        cloud = samples.notification(100, content_type=samples.CLOUD)
        self._arrive(kit, exchange_name, [*names, cloud])

    def test_nothing_is_accepted_before_the_first(self, kit: Kit, exchange_name: str) -> None:
        producer = kit.producer()
        for position in (Position(), Position(5)):
            kit.open_in_turn(producer, exchange_name, position)
            accepted = producer.accepted_id(exchange_name)
            check(
                accepted is None,
                Producer.ACCEPTED_ID_RISES,
                f"Opened at {position}, nothing was sent, and accepted_id() is {accepted!r}.",
            )
            producer.close(exchange_name)

    def test_flush_returns_when_everything_is_accepted(self, kit: Kit, exchange_name: str) -> None:
        producer = kit.producer()
        producer.open(exchange_name)
        producer.flush(exchange_name)
        for first in (1, 11, 21):
            sent = samples.notifications(first, 10)
            kit.send_and_flush(producer, exchange_name, sent)
            accepted = producer.accepted_id(exchange_name)
            check(
                accepted == sent[-1].event_id,
                Producer.FLUSH,
                f"flush() returned after event {sent[-1].event_id}, and accepted_id() is "
                f"{accepted!r}.",
            )
            producer.flush(exchange_name)

    def test_what_is_accepted_can_be_read_at_the_broker(self, kit: Kit, exchange_name: str) -> None:
        producer = kit.producer()
        producer.open(exchange_name)
        read = 0
        sent = samples.notifications(1, 200)
        kit.store(exchange_name, sent)
        for start in range(0, 200, 20):
            producer.send(exchange_name, sent[start : start + 20])
            accepted = producer.accepted_id(exchange_name) or 0
            due = [event for event in sent if read < event.event_id <= accepted]
            kit.expect_exactly(exchange_name, due)
            read = max(read, accepted)
        producer.flush(exchange_name)
        kit.expect_exactly(exchange_name, [event for event in sent if event.event_id > read])

    def test_two_exchanges_do_not_disturb_each_other(
        self, kit: Kit, new_exchange: Callable[[], str]
    ) -> None:
        one, other = new_exchange(), new_exchange()
        producer = kit.producer()
        producer.open(one)
        producer.open(other)
        ones, others = samples.notifications(1, 50), samples.notifications(1000, 50, step=7)
        kit.store(one, ones)
        kit.store(other, others)
        for to_one, to_other in zip(ones[:40], others[:40], strict=True):
            producer.send(one, [to_one])
            producer.send(other, [to_other])
        producer.flush(one)
        producer.flush(other)
        accepted = producer.accepted_id(one), producer.accepted_id(other)
        check(
            accepted == (ones[39].event_id, others[39].event_id),
            Producer.EXCHANGES,
            f"accepted_id() of two exchanges is {accepted}; sent and flushed were "
            f"{(ones[39].event_id, others[39].event_id)}.",
        )
        producer.close(one)
        kit.send_and_flush(producer, other, others[40:])
        producer.open(one)
        kit.send_and_flush(producer, one, ones[40:])
        kit.expect_exactly(one, ones)
        kit.expect_exactly(other, others)

    def test_can_be_opened_again_after_close(self, kit: Kit, exchange_name: str) -> None:
        producer = kit.producer()
        sent = samples.notifications(1, 30)
        for start in (0, 10, 20):
            producer.open(exchange_name)
            accepted = producer.accepted_id(exchange_name)
            check(
                accepted is None,
                Producer.ACCEPTED_ID_RISES,
                f"The exchange was opened again, nothing sent, and accepted_id() is {accepted}.",
            )
            kit.send_and_flush(producer, exchange_name, sent[start : start + 10])
            producer.close(exchange_name)
        producer.open(exchange_name)
        kit.expect_exactly_once(producer, exchange_name, sent)

    def test_an_idle_exchange_stays_usable(self, kit: Kit, exchange_name: str) -> None:
        producer = kit.producer()
        producer.open(exchange_name)
        sent = samples.notifications(1, 20)
        kit.send_and_flush(producer, exchange_name, sent[:10])
        producer.wait(exchange_name, 0.3)
        kit.send_and_flush(producer, exchange_name, sent[10:])
        kit.expect_exactly(exchange_name, sent)

    def _arrive(self, kit: Kit, exchange_name: str, sent: Sequence[Notification]) -> None:
        producer = kit.producer()
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, sent)
        kit.expect_exactly(exchange_name, sent)


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
