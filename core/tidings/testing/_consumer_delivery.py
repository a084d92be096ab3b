"""A consumer on a broker that works, and on one that fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tidings.errors import BrokerUnavailableError, DeliveryError
from tidings.testing import _samples as samples
from tidings.testing._kit import expect_contents, expect_order, until
from tidings.testing.promises import Consumer, broken, check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tidings.testing._consuming import DrivenConsumer, Publish
    from tidings.testing.proxy import Link

PROMPT = 5.0
"""Seconds within which a call that waits for nothing returns, on a loaded machine."""


UNSENT = "Was an acknowledgement not sent yet, or lost when close() ended the connection?"

BRIEF = 0.3
"""Seconds for which an empty exchange is waited on."""


class ConsumingPromises:
    """What holds while the broker works."""

    def test_messages_are_received_in_order(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that all come, in order, each once."""
        sent = samples.notifications(1, 300, step=2)
        consumer = consumers()
        consumer.open(exchange_name)
        published(exchange_name, sent)
        received = consumer.receive_all(sent, acknowledge=True)
        expect_order(received, Consumer.ORDER)
        found = [message.message_id for message in received]
        check(
            found == [str(each.event_id) for each in sent],
            Consumer.ORDER,
            f"300 messages were published; received were {len(found)}: {found[:10]}…",
        )

    def test_messages_arrive_as_they_were_sent(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that bodies, headers, times, types and ids come back whole."""
        text = [body for name, body in samples.BODIES.items() if name != "every byte"]
        sent = [samples.notification(place, body) for place, body in enumerate(text, 1)]
        sent += [samples.notification(100 + n, headers=h) for n, h in _numbered(samples.HEADERS)]
        sent += [samples.notification(200 + n, occurred_on=t) for n, t in _numbered(samples.TIMES)]
        sent += [
            samples.notification(300 + n, type_name=t) for n, t in _numbered(samples.TYPE_NAMES)
        ]
        sent += [samples.notification(event_id) for event_id in samples.LARGE_IDS]
        consumer = consumers()
        consumer.open(exchange_name)
        published(exchange_name, sent)
        expect_contents(sent, consumer.receive_all(sent, acknowledge=True))

    def test_receive_gives_none_after_its_timeout(
        self, consumers: Callable[..., DrivenConsumer], exchange_name: str
    ) -> None:
        """See that an empty exchange is waited for as long as was asked."""
        consumer = consumers()
        consumer.open(exchange_name)
        begun = time.monotonic()
        message = consumer.receive(BRIEF)
        took = time.monotonic() - begun
        check(message is None, Consumer.RECEIVE, f"Nothing was published; received {message}.")
        check(BRIEF * 0.9 < took < PROMPT, Consumer.RECEIVE, f"receive({BRIEF}) took {took:.2f} s.")

    def test_what_was_not_acknowledged_comes_again(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that closing gives back what was received only."""
        sent = samples.notifications(1, 5)
        consumer = consumers()
        consumer.open(exchange_name)
        published(exchange_name, sent)
        first, *_ = consumer.receive_all(sent[:3], acknowledge=False)
        consumer.acknowledge(first)
        consumer.close()
        consumer.open(exchange_name)
        again = consumer.receive_all(sent[1:], acknowledge=True)
        expect_order(again, Consumer.AGAIN)
        ids = [message.message_id for message in again]
        check(
            ids == ["2", "3", "4", "5"],
            f"{Consumer.AGAIN} {Consumer.ACKNOWLEDGE}",
            f"Of 5 messages 3 were received and the first acknowledged; after close and open came "
            f"{ids}.",
        )

    def test_what_was_acknowledged_does_not_come_again(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that another consumer of the same subscriber begins where the first ended."""
        sent = samples.notifications(1, 20)
        first, second = consumers(), consumers()
        first.open(exchange_name)
        published(exchange_name, sent[:10])
        first.receive_all(sent[:10], acknowledge=True)
        first.close()
        second.open(exchange_name)
        published(exchange_name, sent[10:])
        ids = [message.message_id for message in second.receive_all(sent[10:], acknowledge=True)]
        check(
            ids == [str(each.event_id) for each in sent[10:]],
            Consumer.ACKNOWLEDGE,
            f"Messages 1 to 10 were acknowledged; another consumer received {ids}. {UNSENT}",
        )

    def test_several_may_be_received_before_the_first_is_acknowledged(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that acknowledging later does no harm."""
        sent = samples.notifications(1, 20)
        consumer = consumers()
        consumer.open(exchange_name)
        published(exchange_name, sent)
        for message in consumer.receive_all(sent, acknowledge=False):
            consumer.acknowledge(message)
        consumer.close()
        consumer.open(exchange_name)
        left = consumer.receive(0.5)
        check(
            left is None,
            Consumer.ACKNOWLEDGE,
            f"All 20 were acknowledged, then came close() and open(), and message "
            f"{left and left.message_id} came again. {UNSENT}",
        )

    def test_nothing_passes_while_the_consumer_is_closed(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that the subscriber's queue outlives the consumer."""
        consumer = consumers()
        consumer.open(exchange_name)
        consumer.close()
        sent = samples.notifications(1, 5)
        reader = consumers()
        published(exchange_name, sent)
        reader.open(exchange_name)
        received = reader.receive_all(sent, acknowledge=True)
        check(len(received) == len(sent), Consumer.OPEN, f"Of 5 messages {len(received)} came.")

    def test_close_may_be_called_twice_and_before_open(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that close never harms."""
        consumer = consumers()
        consumer.close()
        consumer.open(exchange_name)
        consumer.close()
        consumer.close()
        consumer.open(exchange_name)
        sent = samples.notifications(1, 1)
        published(exchange_name, sent)
        consumer.receive_all(sent, acknowledge=True)


class ConsumerFailurePromises:
    """What holds when the way to the broker fails."""

    def test_making_it_connects_to_nothing(
        self, consumers: Callable[..., DrivenConsumer], link: Link
    ) -> None:
        """See that a consumer can be made while the broker is away."""
        link.refuse()
        try:
            consumers(via=link.address)
        except DeliveryError as error:
            broken(Consumer.LAZY, f"Nothing listens, and making the consumer raised {error!r}.")
        check(link.connections == 0, Consumer.LAZY, "Making the consumer opened a connection.")

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


def _numbered(values: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    return enumerate(values.values())
