"""A consumer on a broker that works."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from tidings.testing import samples
from tidings.testing._capabilities import expect_the_same
from tidings.testing._consuming import BRIEF
from tidings.testing._judging import check
from tidings.testing._kit import expect_contents, expect_order
from tidings.testing.promises import Consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tidings.interfaces import Capability
    from tidings.testing._consuming import DrivenConsumer, Publish

PROMPT = 5.0
"""Seconds within which a call that waits for nothing returns, on a loaded machine."""

UNSENT = "Was an acknowledgement not sent yet, or lost when close() ended the connection?"


class ConsumingPromises:
    """What holds while the broker works."""

    capabilities: ClassVar[frozenset[Capability]]
    largest_body: ClassVar[int]

    def test_the_consumer_says_the_same_capabilities(
        self, consumers: Callable[..., DrivenConsumer]
    ) -> None:
        """See that it says what the test class declares."""
        said = consumers().consumer.capabilities
        expect_the_same(said, self.capabilities, Consumer.CAPABILITIES, "make_consumer")

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
        """See that bodies, content types, headers, times, types and ids come back whole."""
        bodies = samples.bodies(self.largest_body)
        text = [body for name, body in bodies.items() if name != "every byte"]
        sent = [samples.notification(place, body) for place, body in enumerate(text, 1)]
        sent += [samples.notification(100 + n, headers=h) for n, h in _numbered(samples.HEADERS)]
        sent += [samples.notification(200 + n, occurred_on=t) for n, t in _numbered(samples.TIMES)]
        sent += [
            samples.notification(300 + n, type_name=t) for n, t in _numbered(samples.TYPE_NAMES)
        ]
        sent += [samples.notification(400, content_type=samples.CLOUD)]
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

    def test_waiting_takes_no_message(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that a slow handler can look after the connection, and gets everything all the same.

        From between a message and its acknowledgement, too.
        """
        sent = samples.notifications(1, 20)
        consumer = consumers()
        consumer.open(exchange_name)
        published(exchange_name, sent)
        consumer.wait(BRIEF)
        (first,) = consumer.receive_all(sent[:1], acknowledge=False)
        consumer.wait(BRIEF)
        consumer.acknowledge(first)
        consumer.wait(BRIEF)
        rest = consumer.receive_all(sent[1:], acknowledge=True)
        found = [message.message_id for message in (first, *rest)]
        check(
            found == [str(each.event_id) for each in sent],
            Consumer.WAIT,
            f"20 messages were published; between calls of wait() {found} were received.",
        )

    def test_a_message_of_an_earlier_opening_is_refused(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that an acknowledgement is never taken for that of another message."""
        sent = samples.notifications(1, 4)
        consumer = consumers()
        consumer.open(exchange_name)
        published(exchange_name, sent)
        first, old = consumer.receive_all(sent[:2], acknowledge=False)
        consumer.acknowledge(first)
        consumer.close()
        consumer.open(exchange_name)
        consumer.receive_all(sent[1:], acknowledge=False)
        try:
            consumer.acknowledge(old)
        except RuntimeError:
            refused = True
        else:
            refused = False
        check(
            refused,
            Consumer.OPENING,
            "Message 2 came, then close() and open(), and acknowledge() took the old message 2.",
        )
        consumer.close()
        consumer.open(exchange_name)
        ids = [message.message_id for message in consumer.receive_all(sent[1:], acknowledge=True)]
        check(
            ids == ["2", "3", "4"],
            f"{Consumer.OPENING} {Consumer.AGAIN}",
            f"Message 2 of an earlier opening was acknowledged, and refused; then came {ids}.",
        )

    def test_misuse_is_refused(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that a mistake in the application is said, and does no harm."""
        consumer = consumers()
        _expect_misuse("Nothing is open, and receive()", lambda: consumer.receive(0))
        consumer.open(exchange_name)
        _expect_misuse(
            f"{exchange_name!r} is open, and open()",
            lambda: consumer.open(exchange_name),
            exchange_name,
        )
        sent = samples.notifications(1, 2)
        published(exchange_name, sent)
        consumer.receive_all(sent, acknowledge=True)
        consumer.close()
        _expect_misuse("Nothing is open any more, and receive()", lambda: consumer.receive(0))

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


def _expect_misuse(what: str, call: Callable[[], object], names: str = "") -> None:
    try:
        outcome = f"it returned {call()!r}"
        is_refused = False
    except RuntimeError as error:
        outcome = f"it raised {error!r}"
        is_refused = names in str(error)
    check(is_refused, Consumer.MISUSE, f"{what} was called: {outcome}.")


def _numbered(values: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    return enumerate(values.values())
