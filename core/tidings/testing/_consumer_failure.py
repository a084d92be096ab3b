"""A consumer on a broker that fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.errors import BrokerRefusedError, BrokerUnavailableError, DeliveryError
from tidings.testing import samples
from tidings.testing._judging import broken, check
from tidings.testing._producer_bounds import unanswered
from tidings.testing.promises import Consumer
from tidings.testing.proxy import TcpProxy
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import ReceivedMessage
    from tidings.testing._consuming import DrivenConsumer, Publish
    from tidings.testing.proxy import Link

PROMPT = 5.0
"""Seconds within which a call that waits for nothing returns, on a loaded machine."""

BRIEF = 0.3
"""Seconds for which an empty exchange is waited on."""


class ConsumerFailurePromises:
    """What holds if the way to the broker fails."""

    has_login: ClassVar[bool]

    def test_making_it_connects_to_nothing(
        self, consumers: Callable[..., DrivenConsumer], link: Link
    ) -> None:
        """See that a consumer can be made while the broker is away."""
        before = link.opened
        consumers(via=link.address)
        made = link.opened - before
        check(made == 0, Consumer.LAZY, f"Making the consumer opened {made} connection(s).")
        link.refuse()
        try:
            consumers(via=link.address)
        except DeliveryError as error:
            broken(Consumer.LAZY, f"Nothing listens, and making the consumer raised {error!r}.")

    def test_a_lost_connection_is_an_error_or_mended(
        self,
        consumers: Callable[..., DrivenConsumer],
        published: Publish,
        link: Link,
        exchange_name: str,
    ) -> None:
        """See that a cut connection loses nothing, and doesn't look like an empty exchange."""
        consumer = consumers(via=link.address)
        sent = samples.notifications(1, 10)
        consumer.open(exchange_name)
        published(exchange_name, sent[:5])
        consumer.receive_all(sent[:5], acknowledge=True)
        link.cut()
        published(exchange_name, sent[5:])
        try:
            received = consumer.receive_all(sent[5:], acknowledge=True)
        except DeliveryError:
            consumer.close()
            consumer.open(exchange_name)
            received = consumer.receive_all(sent[5:], acknowledge=True)
        ids = [message.message_id for message in received]
        wanted = [str(each.event_id) for each in sent[5:]]
        check(ids[-5:] == wanted, Consumer.AGAIN, f"After a cut {ids} came, not {wanted}.")

    def test_a_broker_that_is_away_is_unavailable(
        self,
        consumers: Callable[..., DrivenConsumer],
        published: Publish,
        link: Link,
        exchange_name: str,
    ) -> None:
        """See that the sentence comes, and that it works when the broker is back."""
        there = consumers()
        there.open(exchange_name)
        there.close()
        sent = samples.notifications(1, 3)
        published(exchange_name, sent)
        link.refuse()
        consumer = consumers(via=link.address)
        error: DeliveryError | None = None
        try:
            consumer.open(exchange_name)
            received = consumer.receive(1)
            check(received is None, Consumer.ERRORS, f"Nothing listens, and {received} came.")
        except DeliveryError as raised:
            error = raised
            check(
                isinstance(raised, BrokerUnavailableError),
                Consumer.ERRORS,
                f"Nothing listens at the broker's address; open() raised {raised!r}.",
            )
        link.admit()
        if error is not None:
            consumer.close()
            consumer.open(exchange_name)
        consumer.receive_all(sent, acknowledge=True)

    def test_a_broker_that_goes_away_is_unavailable_to_every_call(
        self,
        consumers: Callable[..., DrivenConsumer],
        published: Publish,
        link: Link,
        exchange_name: str,
    ) -> None:
        """See that no library's error gets through, and that all comes when the broker is back."""
        sent = samples.notifications(1, 5)
        consumer = consumers(via=link.address)
        consumer.open(exchange_name)
        published(exchange_name, sent)
        (first,) = consumer.receive_all(sent[:1], acknowledge=False)
        link.refuse()
        link.cut()
        _expect_unavailable("receive()", lambda: _receive_all_that_is_there(consumer))
        _expect_unavailable("acknowledge()", lambda: consumer.acknowledge(first))
        _expect_unavailable("wait()", lambda: consumer.wait(0.1))
        consumer.close()
        _expect_unavailable("open()", lambda: consumer.open(exchange_name))
        consumer.close()
        link.admit()
        consumer.open(exchange_name)
        consumer.receive_all(sent[1:], acknowledge=True)

    def test_open_at_an_address_that_does_not_answer_comes_back(
        self, consumers: Callable[..., DrivenConsumer], link: Link, exchange_name: str
    ) -> None:
        """See that a machine that is gone hangs nobody."""
        if not isinstance(link, TcpProxy):
            pytest.skip("declared: a link that is not the suite's proxy")
        with unanswered() as address:
            consumer = consumers(via=address)
            _expect_unavailable("open()", lambda: consumer.open(exchange_name))
            consumer.close()

    @pytest.mark.parametrize(("seconds", "timeout"), [(1.0, 3.0), (4 * PROMPT, BRIEF)])
    def test_receive_keeps_to_its_timeout_and_not_to_the_connections(
        self,
        request: pytest.FixtureRequest,
        monkeypatch: pytest.MonkeyPatch,
        seconds: float,
        timeout: float,
    ) -> None:
        """See that a quiet exchange is no broken one, however long or short the waiting is."""
        # The fixtures that make consumers have this very `self`.
        monkeypatch.setattr(self, "no_progress_seconds", seconds)
        consumer: DrivenConsumer = request.getfixturevalue("consumers")()
        consumer.open(request.getfixturevalue("exchange_name"))
        begun = time.monotonic()
        try:
            message = consumer.receive(timeout)
        except DeliveryError as error:
            broken(
                Consumer.RECEIVE,
                f"Nothing was published, and receive({timeout:g}) raised {error!r}. (A broker that "
                f"is silent for {seconds:g} s is unavailable to this consumer.)",
            )
        took = time.monotonic() - begun
        check(message is None, Consumer.RECEIVE, f"Nothing was published; {message} came.")
        check(
            0.9 * timeout < took < timeout + PROMPT,
            Consumer.RECEIVE,
            f"receive({timeout:g}) took {took:.2f} s.",
        )

    @pytest.mark.usefixtures("consumers")
    def test_a_refused_login_says_so_without_the_secret(
        self, request: pytest.FixtureRequest, exchange_name: str
    ) -> None:
        """See that it is not taken for a broker that is away."""
        if not self.has_login:
            pytest.skip("declared: has_login = False")
        consumer = request.getfixturevalue("refused_consumers")()
        error: DeliveryError | None = None
        try:
            consumer.open(exchange_name)
            consumer.receive(BRIEF)
        except DeliveryError as raised:
            error = raised
        check(
            isinstance(error, BrokerRefusedError),
            "`BrokerRefusedError`: the broker refuses us until somebody changes something: login, "
            "permission, precondition.",
            f"The broker refuses this login; open() and receive() ended in {error!r}.",
        )

    def test_close_leaves_no_connection(
        self, consumers: Callable[..., DrivenConsumer], link: Link, exchange_name: str
    ) -> None:
        """See that nothing is left behind."""
        consumer = consumers(via=link.address)
        for _ in range(3):
            consumer.open(exchange_name)
            consumer.receive(0.1)
            consumer.close()
            until(lambda: link.connections == 0, PROMPT)
            left = link.connections
            check(not left, Consumer.CLOSE, f"{left} connection(s) are open after close().")


def _receive_all_that_is_there(consumer: DrivenConsumer) -> list[ReceivedMessage]:
    received = []
    while message := consumer.receive(BRIEF):
        received.append(message)
    return received


def _expect_unavailable(name: str, call: Callable[[], object]) -> None:
    """See that a call works all the same, or says that the broker is unavailable."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        check(
            isinstance(error, BrokerUnavailableError),
            Consumer.ERRORS,
            f"The broker went away, and {name} raised {error!r}.",
        )
