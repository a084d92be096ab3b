"""A producer as a guest: what it raises, logs and leaves behind."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.errors import UndeliverableEventError
from tidings.testing import _samples as samples
from tidings.testing._kit import expect_none_lost, expect_order, until
from tidings.testing._own_thread import THREAD_NAME
from tidings.testing.promises import Producer, check
from tidings.testing.proxy import THREAD_PREFIX

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
        if not self.has_undeliverable:
            pytest.skip("declared: has_undeliverable = False")
        assert undeliverable is not None, "has_undeliverable needs the fixture `undeliverable`"
        producer = kit.producer()
        producer.open(exchange_name)
        before, after = samples.notifications(1, 3), samples.notifications(101, 3)
        kit.store(exchange_name, before)
        producer.send(exchange_name, before)
        with pytest.raises(UndeliverableEventError) as raised:
            producer.send(exchange_name, [undeliverable._replace(event_id=50)])
        check(
            raised.value.event_id == 50,  # noqa: PLR2004 - just sent
            Producer.ERRORS,
            f"UndeliverableEventError has event_id={raised.value.event_id}; it was 50.",
        )
        kit.send_and_flush(producer, exchange_name, after)
        arrived = kit.read(exchange_name, [*before, *after])
        check(
            all(message.message_id != "50" for message in arrived),
            Producer.UNDELIVERABLE,
            "Event 50 was never sent, said UndeliverableEventError, and it arrived.",
        )
        expect_none_lost([*before, *after], arrived)
        expect_order(arrived)

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
        before = _threads()
        producer = kit.producer()
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, samples.notifications(1, 5))
        producer.close(exchange_name)
        producer.end()
        until(lambda: not _threads() - before, 5)
        left = ", ".join(sorted(thread.name for thread in _threads() - before))
        check(not left, Producer.CLOSE, f"5 s after close() these threads still run: {left}.")


def _threads() -> set[threading.Thread]:
    ours = (THREAD_PREFIX, THREAD_NAME)
    return {thread for thread in threading.enumerate() if not thread.name.startswith(ours)}
