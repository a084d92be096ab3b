"""A producer on a connection that is cut, frozen, slow or refused."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.errors import BrokerRefusedError, BrokerUnavailableError, DeliveryError
from tidings.testing import samples
from tidings.testing._judging import broken, check
from tidings.testing.promises import Producer
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces import MessageProducer, Notification
    from tidings.testing._driver import DrivenProducer
    from tidings.testing._kit import Kit
    from tidings.testing.proxy import Link

PROMPT = 5.0
"""Seconds within which a call that waits for nothing returns, on a loaded machine."""


class FailurePromises:
    """What holds if the way to the broker fails."""

    has_login: ClassVar[bool]
    frozen_sends: ClassVar[int]
    grace: ClassVar[float]

    def test_making_it_connects_to_nothing(self, kit: Kit, link: Link) -> None:
        before = link.opened
        kit.producer(via=link.address)
        made = link.opened - before
        check(made == 0, Producer.LAZY, f"Making the producer opened {made} connection(s).")
        link.refuse()
        try:
            kit.producer(via=link.address)
        except DeliveryError as error:
            broken(Producer.LAZY, f"Nothing listens, and making the producer raised {error!r}.")

    def test_a_broker_that_is_away_is_unavailable_until_it_is_back(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        link.refuse()
        producer = kit.producer(via=link.address)
        sent = samples.notifications(1, 10)
        kit.store(exchange_name, sent)
        why = "Nothing listens at the broker's address; open() and flush()"
        _expect_unavailable(why, _failure(producer, exchange_name, sent))
        producer.close(exchange_name)
        link.admit()
        producer.deliver(exchange_name, sent)
        kit.expect_exactly_once(producer, exchange_name, sent)

    def test_a_frozen_broker_ends_in_unavailable_and_accepts_nothing(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        producer = kit.producer(via=link.address)
        sent = samples.notifications(1, 30)
        kit.store(exchange_name, sent)
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, sent[:10])
        link.freeze()
        why = "The connection carries nothing, and send() and flush() of 20 events"
        _expect_unavailable(why, _failure(producer, exchange_name, sent[10:], opened=True))
        self._expect_nothing_accepted_after(10, producer, exchange_name)
        link.cut()
        link.thaw()
        producer.close(exchange_name)
        producer.deliver(exchange_name, sent, after=10)
        kit.expect_exactly_once(producer, exchange_name, sent)

    def test_sending_to_a_frozen_broker_stops_at_the_window(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        producer = kit.producer(via=link.address)
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, samples.notifications(1, 1))
        link.freeze()
        unsent = [samples.notification(2 + each, b"x" * 1000) for each in range(self.frozen_sends)]
        kit.store(exchange_name, unsent)
        try:
            producer.send(exchange_name, unsent)
        except BrokerUnavailableError:
            pass
        else:
            broken(
                Producer.WINDOW,
                f"The connection carries nothing, and {self.frozen_sends} messages of 1 kB were "
                "taken; memory would grow without end.",
            )
        self._expect_nothing_accepted_after(1, producer, exchange_name)

    def test_open_on_a_frozen_connection_comes_back(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        link.freeze()
        producer = kit.producer(via=link.address)
        sent = samples.notifications(1, 5)
        kit.store(exchange_name, sent)
        why = "The connection carries nothing; open() and flush()"
        _expect_unavailable(why, _failure(producer, exchange_name, sent))
        producer.close(exchange_name)
        link.cut()
        link.thaw()
        producer.deliver(exchange_name, sent)
        kit.expect_exactly_once(producer, exchange_name, sent)

    @pytest.mark.parametrize("place", [1, 50, 99])
    def test_a_connection_cut_in_the_middle_loses_and_reorders_nothing(
        self, kit: Kit, link: Link, exchange_name: str, place: int
    ) -> None:
        producer = kit.producer(via=link.address)
        sent = samples.notifications(1, self.frozen_sends // 50)
        cut_before = sent[len(sent) * place // 100].event_id
        kit.store(exchange_name, sent)
        failures = producer.deliver(exchange_name, sent, {cut_before: link.cut})
        last = samples.notifications(sent[-1].event_id + 1, 1)
        kit.send_and_flush(producer, exchange_name, last)
        kit.expect_first_deliveries(exchange_name, [*sent, *last], failures)

    def test_what_arrives_late_is_not_reordered(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        producer = kit.producer(via=link.address)
        sent = samples.notifications(1, 100)
        kit.store(exchange_name, sent)
        producer.open(exchange_name)
        link.freeze()
        error = _failure(producer, exchange_name, sent, opened=True)
        check(error, Producer.FLUSH, "The connection carries nothing, and flush() returned.")
        producer.close(exchange_name)
        link.thaw()
        failures = producer.deliver(exchange_name, sent)
        failures.accepted.append(0)
        last = samples.notifications(sent[-1].event_id + 1, 1)
        kit.send_and_flush(producer, exchange_name, last)
        kit.expect_first_deliveries(exchange_name, [*sent, *last], failures)

    def test_an_idle_producer_notices_a_lost_connection_or_mends_it(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        producer = kit.producer(via=link.address)
        sent = samples.notifications(1, 20)
        kit.store(exchange_name, sent)
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, sent[:10])
        link.cut()
        deadline = time.monotonic() + kit.patience
        try:
            while time.monotonic() < deadline and link.connections == 0:
                time.sleep(0.1)
                producer.wait(exchange_name, 0)  # as an idle relay does
        except DeliveryError:
            producer.close(exchange_name)
            producer.deliver(exchange_name, sent, after=10)
        else:
            check(
                link.connections,
                Producer.WAIT,
                f"The connection was cut, and wait() said nothing for {kit.patience:.0f} s.",
            )
            kit.send_and_flush(producer, exchange_name, sent[10:])
        kit.expect_exactly_once(producer, exchange_name, sent)

    def test_close_leaves_no_connection(self, kit: Kit, link: Link, exchange_name: str) -> None:
        producer = kit.producer(via=link.address)
        for first in (1, 11, 21):
            producer.open(exchange_name)
            kit.send_and_flush(producer, exchange_name, samples.notifications(first, 5))
            producer.close(exchange_name)
            until(lambda: link.connections == 0, self.grace)
            left = link.connections
            check(not left, Producer.CLOSE, f"{left} connection(s) are open after close().")

    def test_close_after_a_failure_leaves_no_connection(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        producer = kit.producer(via=link.address)
        producer.open(exchange_name)
        sent = samples.notifications(1, 5)
        kit.store(exchange_name, sent)
        link.freeze()
        _failure(producer, exchange_name, sent, opened=True)
        producer.close(exchange_name)
        link.thaw()
        until(lambda: link.connections == 0, self.grace)
        left = link.connections
        check(not left, Producer.CLOSE, f"{left} connection(s) are open after failure and close().")

    def test_an_opening_that_fails_leaves_no_connection(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        producer = kit.producer(via=link.address)
        link.freeze()
        with suppress(BrokerUnavailableError):
            producer.open(exchange_name)
        # A backend that connects later has opened the exchange; else there is nothing to close.
        producer.close(exchange_name)
        link.thaw()
        until(lambda: link.connections == 0, self.grace)
        left = link.connections
        check(not left, Producer.LETS_GO, f"{left} connection(s) are open after open() failed.")

    def test_a_refused_login_says_so_without_the_secret(
        self, kit: Kit, exchange_name: str, make_refused_producer: Callable[[], MessageProducer]
    ) -> None:
        if not self.has_login:
            pytest.skip("declared: has_login = False")
        producer = kit.drive(make_refused_producer)
        error = _failure(producer, exchange_name, samples.notifications(1, 1))
        check(
            isinstance(error, BrokerRefusedError),
            "`BrokerRefusedError`: the broker refuses us until somebody changes something: login, "
            "permission, precondition.",
            f"The broker refuses this login; open() and flush() ended in {error!r}.",
        )

    def _expect_nothing_accepted_after(
        self, last: int, producer: DrivenProducer, exchange_name: str
    ) -> None:
        begun = time.monotonic()
        accepted = producer.accepted_id(exchange_name)
        took = time.monotonic() - begun
        check(
            accepted == last,
            f"{Producer.ACCEPTED} {Producer.ACCEPTED_ID_RISES}",
            f"The connection carried nothing after event {last}, so that the broker cannot have "
            f"said a word, and accepted_id() is {accepted}.",
        )
        check(took < PROMPT, Producer.ACCEPTED_ID_RISES, f"accepted_id() took {took:.1f} s.")


def _failure(
    producer: DrivenProducer,
    exchange_name: str,
    notifications: Sequence[Notification],
    *,
    opened: bool = False,
) -> DeliveryError | None:
    """Return how opening, sending and flushing fails, ``None`` if it doesn't."""
    try:
        if not opened:
            producer.open(exchange_name)
        producer.send(exchange_name, notifications)
        producer.flush(exchange_name)
    except DeliveryError as error:
        return error
    return None


def _expect_unavailable(why: str, error: DeliveryError | None) -> None:
    check(
        isinstance(error, BrokerUnavailableError), Producer.DEADLINE, f"{why} ended in {error!r}."
    )
