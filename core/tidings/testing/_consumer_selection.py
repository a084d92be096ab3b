"""A consumer that asks for some of an exchange's messages only."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tidings.interfaces import Capability
from tidings.testing import samples
from tidings.testing._capabilities import need
from tidings.testing._consuming import BRIEF
from tidings.testing._judging import check
from tidings.testing.promises import Consumer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces import Notification
    from tidings.testing._consuming import DrivenConsumer, Publish


class SelectingPromises:
    """What holds for a consumer that chooses routing keys, or partitions."""

    capabilities: ClassVar[frozenset[Capability]]

    def test_only_the_selected_routing_keys_come(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that others pass, and that these come with their keys."""
        need(self.capabilities, Capability.ROUTING)
        keys = ["shop.paid", "shop.placed", "shop", "billing", "shop.paid", "shop.paid.late"]
        sent = [
            each._replace(message=each.message._replace(routing_key=key))
            for each, key in zip(samples.notifications(1, len(keys)), keys, strict=True)
        ]
        consumer = consumers()
        consumer.select(["shop.paid", "billing"])
        consumer.open(exchange_name)
        published(exchange_name, sent)
        wanted = [each for each in sent if each.message.routing_key in ("shop.paid", "billing")]
        received = consumer.receive_all(wanted, acknowledge=True)
        more = consumer.receive(BRIEF)
        found = [message.routing_key for message in [*received, *([more] if more else [])]]
        check(
            found == ["shop.paid", "billing", "shop.paid"],
            Consumer.SELECT,
            f"Of messages with the routing keys {keys}, those with shop.paid and billing were "
            f"asked for; there came {found}.",
        )

    def test_only_the_selected_partitions_come(
        self, consumers: Callable[..., DrivenConsumer], published: Publish, exchange_name: str
    ) -> None:
        """See that others are left for whoever reads those, and that each comes in order."""
        need(self.capabilities, Capability.PARTITIONS)
        sent = samples.parted(1, 40)
        some, every = consumers(), consumers()
        some.select_partitions([1, 3], samples.PARTITIONS)
        some.open(exchange_name)
        published(exchange_name, sent)
        _expect_partitions(sent, [1, 3], some)
        some.close()
        every.select_partitions([], samples.PARTITIONS)
        every.open(exchange_name)
        _expect_partitions(sent, [0, 2], every)


def _expect_partitions(
    sent: Sequence[Notification], partitions: Sequence[int], consumer: DrivenConsumer
) -> None:
    """Fail unless exactly these partitions come, each in order, and say which they are."""
    wanted = [each for each in sent if each.message.partition in partitions]
    received = consumer.receive_all(wanted, acknowledge=True)
    more = consumer.receive(BRIEF)
    received += [more] if more else []
    ids = [int(message.message_id) for message in received]
    check(
        sorted(ids) == [each.event_id for each in wanted],
        Consumer.SELECT_PARTITIONS,
        f"The partitions {partitions} hold {len(wanted)} messages; received were {sorted(ids)}.",
    )
    for partition in partitions:
        of_it = [each.event_id for each in wanted if each.message.partition == partition]
        found = [int(each.message_id) for each in received if each.partition == partition]
        check(
            found == of_it,
            Consumer.PARTITIONS,
            f"Partition {partition} holds {of_it}; from it came {found}.",
        )
