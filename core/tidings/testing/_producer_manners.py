"""A producer as a guest: what it raises, logs and leaves behind."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.errors import UndeliverableEventError
from tidings.testing import samples
from tidings.testing._judging import check
from tidings.testing._kit import expect_none_lost, expect_order
from tidings.testing._left_open import threads
from tidings.testing.promises import Producer
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import Notification
    from tidings.testing._kit import Kit


class MannersPromises:
    """What holds besides delivery."""

    has_undeliverable: ClassVar[bool]

    def test_an_undeliverable_event_leaves_the_exchange_usable(
        self, kit: Kit, exchange_name: str, undeliverable: Notification | None
    ) -> None:
        poison = self._poison(undeliverable)
        producer = kit.producer()
        producer.open(exchange_name)
        before, after = samples.notifications(1, 3), samples.notifications(101, 3)
        kit.store(exchange_name, before)
        producer.send(exchange_name, before)
        with pytest.raises(UndeliverableEventError) as raised:
            producer.send(exchange_name, [poison])
        _expect_event(raised.value, poison)
        kit.send_and_flush(producer, exchange_name, after)
        arrived = kit.read(exchange_name, [*before, *after])
        check(
            all(message.message_id != "50" for message in arrived),
            Producer.UNDELIVERABLE,
            "Event 50 was never sent, said UndeliverableEventError, and it arrived.",
        )
        expect_none_lost([*before, *after], arrived)
        expect_order(arrived)

    def test_an_undeliverable_event_ends_its_batch_and_leaves_the_exchange_usable(
        self, kit: Kit, exchange_name: str, undeliverable: Notification | None
    ) -> None:
        poison = self._poison(undeliverable)
        producer = kit.producer()
        producer.open(exchange_name)
        before, after = samples.notifications(1, 3), samples.notifications(101, 3)
        kit.store(exchange_name, [*before, *after])
        with pytest.raises(UndeliverableEventError) as raised:
            producer.send_batch(exchange_name, [*before, poison, *after])
        _expect_event(raised.value, poison)
        producer.flush(exchange_name)
        accepted = producer.accepted_id(exchange_name)
        check(
            accepted == before[-1].event_id,
            Producer.UNDELIVERABLE,
            f"Events 1 to 3, {poison.event_id} and 101 to 103 were sent in one call, which said "
            f"that {poison.event_id} can never be sent; after flush() accepted_id() is {accepted}.",
        )
        producer.send_batch(exchange_name, after)
        producer.flush(exchange_name)
        kit.expect_exactly(exchange_name, [*before, *after])

    def test_one_thread_after_another_may_use_it(self, kit: Kit, exchange_name: str) -> None:
        producer = kit.producer()
        sent = samples.notifications(1, 30)
        kit.store(exchange_name, sent)
        producer.open(exchange_name)
        for start in (0, 10, 20):
            producer.change_thread()
            producer.send(exchange_name, sent[start : start + 10])
        producer.change_thread()
        producer.flush(exchange_name)
        kit.expect_exactly(exchange_name, sent)
        producer.change_thread()
        producer.close(exchange_name)

    def test_the_log_shows_no_secret(
        self,
        kit: Kit,
        exchange_name: str,
        secrets: Sequence[str],
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            producer = kit.producer()
            producer.open(exchange_name)
            kit.send_and_flush(producer, exchange_name, samples.notifications(1, 5))
            producer.close(exchange_name)
        shown = f"{caplog.text}{''.join(capfd.readouterr())}{producer.producer!r}"
        for secret in secrets:
            lines = [line for line in shown.splitlines() if secret in line]
            check(
                not lines,
                Producer.NO_SECRET,
                f"Logged or shown: {lines[:1]}".replace(secret, "<the secret>"),
            )

    def test_close_leaves_no_thread(self, kit: Kit, exchange_name: str) -> None:
        kit.producer().end()
        before = threads()
        producer = kit.producer()
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, samples.notifications(1, 5))
        producer.close(exchange_name)
        producer.end()
        until(lambda: not threads() - before, 5)
        left = ", ".join(sorted(thread.name for thread in threads() - before))
        check(not left, Producer.CLOSE, f"5 s after close() these threads still run: {left}.")

    def _poison(self, undeliverable: Notification | None) -> Notification:
        if not self.has_undeliverable:
            pytest.skip("declared: has_undeliverable = False")
        assert undeliverable is not None, "has_undeliverable needs the fixture `undeliverable`"
        return undeliverable._replace(event_id=50)


def _expect_event(error: UndeliverableEventError, poison: Notification) -> None:
    check(
        error.event_id == poison.event_id,
        Producer.ERRORS,
        f"UndeliverableEventError has event_id={error.event_id}; it was {poison.event_id}.",
    )
