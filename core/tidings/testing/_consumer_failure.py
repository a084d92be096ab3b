"""A consumer on a broker that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.errors import BrokerUnavailableError, DeliveryError
from tidings.testing import samples
from tidings.testing._judging import broken, check
from tidings.testing.promises import Consumer
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.testing._consuming import DrivenConsumer, Publish
    from tidings.testing.proxy import Link

PROMPT = 5.0
"""Seconds within which a call that waits for nothing returns, on a loaded machine."""


class ConsumerFailurePromises:
    """What holds if the way to the broker fails."""

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
