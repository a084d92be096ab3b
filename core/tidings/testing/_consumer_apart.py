"""Consumers beside each other: of other exchanges, and of other subscribers."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tidings.testing import samples
from tidings.testing._consuming import BRIEF
from tidings.testing._judging import check
from tidings.testing.promises import Consumer, Producer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.testing._consuming import DrivenConsumer, Publish


class ConsumersApartPromises:
    """What holds between consumers."""

    def test_exchanges_with_names_much_alike_are_apart(
        self,
        consumers: Callable[..., DrivenConsumer],
        published: Publish,
        subscribe: Callable[[str], None],
    ) -> None:
        """See that each consumer gets the messages of its exchange, and no others."""
        names = samples.names_like(f"contract-{uuid.uuid4().hex[:12]}")
        opened = {}
        for name in names:
            subscribe(name)
            opened[name] = consumers()
            opened[name].open(name)
        sent = {name: samples.notifications(10 * n + 1, 2) for n, name in enumerate(names)}
        for name, notifications in sent.items():
            published(name, notifications)
        for name, notifications in sent.items():
            received = opened[name].receive_all(notifications, acknowledge=True)
            found = [int(message.message_id) for message in received]
            wanted = [each.event_id for each in notifications]
            check(
                found == wanted,
                Producer.NAMES,
                f"Of the exchanges {names}, {name} had {wanted}; its consumer received {found}.",
            )
            opened[name].close()

    def test_two_subscribers_have_queues_of_their_own(
        self,
        consumers: Callable[..., DrivenConsumer],
        other_consumers: Callable[..., DrivenConsumer],
        published: Publish,
        exchange_name: str,
    ) -> None:
        """See that what one subscriber has acknowledged comes to the other one, too."""
        sent = samples.notifications(1, 10)
        one, other = consumers(), other_consumers()
        one.open(exchange_name)
        other.open(exchange_name)
        published(exchange_name, sent)
        for name, consumer in {"one": one, "another": other}.items():
            received = consumer.receive_all(sent, acknowledge=True)
            more = consumer.receive(BRIEF)
            ids = [int(each.message_id) for each in [*received, *([more] if more else [])]]
            wanted = [each.event_id for each in sent]
            check(
                ids == wanted,
                Consumer.SUBSCRIBERS,
                f"Two subscribers read an exchange with {wanted}; {name} received {ids}.",
            )
