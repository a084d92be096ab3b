"""A consumer that ends without a word, and one whose broker says no word."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tidings.errors import BrokerUnavailableError, DeliveryError
from tidings.testing import samples
from tidings.testing._judging import check
from tidings.testing._kit import expect_order
from tidings.testing.promises import Consumer
from tidings.testing.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.testing._consuming import DrivenConsumer, Publish
    from tidings.testing.proxy import Link

PROMPT = 10.0
"""Seconds within which close() has given up on a silent broker, on a loaded machine."""


class ConsumerCrashPromises:
    """What holds if a consumer, or its connection, ends without close()."""

    def test_what_a_crashed_consumer_had_not_acknowledged_comes_again(
        self,
        consumers: Callable[..., DrivenConsumer],
        published: Publish,
        link: Link,
        exchange_name: str,
    ) -> None:
        """See that the next consumer of the subscriber gets all but what was acknowledged."""
        sent = samples.notifications(1, 20)
        dead = consumers(via=link.address)
        dead.open(exchange_name)
        published(exchange_name, sent)
        for message in dead.receive_all(sent[:10], acknowledge=False)[:5]:
            dead.acknowledge(message)
        dead.wait(0.5)  # what was acknowledged may be on its way
        if isinstance(link, TcpProxy):  # another link may refuse the next consumer, too
            link.refuse()
        link.cut()  # it is not closed, and never comes back: as if its process was killed
        after = consumers()
        after.open(exchange_name)
        again = after.receive_all(sent[5:], acknowledge=True)
        expect_order(again, Consumer.AGAIN)

    def test_whatever_was_received_and_not_acknowledged_comes_again(
        self,
        consumers: Callable[..., DrivenConsumer],
        published: Publish,
        exchange_name: str,
    ) -> None:
        """See that this is so of more than is read ahead at once, and a second time."""
        sent = samples.notifications(1, 250)
        consumer = consumers()
        consumer.open(exchange_name)
        published(exchange_name, sent)
        received: list[str] = []
        while message := consumer.receive(1.0):  # as many as may be unacknowledged
            received.append(message.message_id)
        pending = [each for each in sent if str(each.event_id) in received]
        for _ in range(2):
            consumer.close()
            consumer.open(exchange_name)
            again = consumer.receive_all(pending, acknowledge=False)
            ids = [message.message_id for message in again]
            check(
                ids == received,
                Consumer.AGAIN,
                f"{len(received)} messages were received and not acknowledged; after close() and "
                f"open() there came {len(ids)}, of which {len(set(ids))} differ: {ids[:5]}…",
            )
        consumer.close()
        consumer.open(exchange_name)
        every = [each.message_id for each in consumer.receive_all(sent, acknowledge=True)]
        check(
            every == [str(each.event_id) for each in sent],
            Consumer.AGAIN,
            f"Of {len(sent)} messages none was acknowledged; after close() and open() came "
            f"{len(every)}.",
        )

    def test_a_frozen_broker_hangs_no_call_and_loses_nothing(
        self,
        consumers: Callable[..., DrivenConsumer],
        published: Publish,
        link: Link,
        exchange_name: str,
    ) -> None:
        """See that every call comes back, and that everything comes when the broker is back."""
        sent = samples.notifications(1, 10)
        consumer = consumers(via=link.address)
        consumer.open(exchange_name)
        published(exchange_name, sent)
        first, second, *_ = consumer.receive_all(sent[:5], acknowledge=False)
        consumer.acknowledge(first)
        consumer.wait(0.5)
        link.freeze()
        with suppress(BrokerUnavailableError):
            consumer.acknowledge(second)
            consumer.wait(0.1)
            for _ in sent:  # what it had read ahead may come; then there is nothing, or an error
                if consumer.receive(0.2) is None:
                    break
        begun = time.monotonic()
        consumer.close()
        took = time.monotonic() - begun
        check(took < PROMPT, Consumer.CLOSE, f"close() of a frozen connection took {took:.1f} s.")
        _expect_no_opening(consumer, exchange_name)
        link.cut()
        link.thaw()
        consumer.open(exchange_name)
        consumer.receive_all(sent[2:], acknowledge=True)


def _expect_no_opening(consumer: DrivenConsumer, exchange_name: str) -> None:
    """See that opening a frozen exchange ends: in an error, or by itself if it connects later."""
    try:
        consumer.open(exchange_name)
        message = consumer.receive(0.2)
        check(message is None, Consumer.DEADLINE, f"The broker is silent, and {message} came.")
    except DeliveryError as error:
        check(
            isinstance(error, BrokerUnavailableError),
            Consumer.DEADLINE,
            f"The connection carries nothing, and open() raised {error!r}.",
        )
    consumer.close()
