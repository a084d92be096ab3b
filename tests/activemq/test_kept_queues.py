"""The subscribers' queues stay while an exchange is open, of whatever kind it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tests.activemq.client import NOW, Client, ids, queue_of
from tests.activemq.openwire import delete_queue
from tests.activemq.sending import MESSAGE
from tests.activemq.test_subscriber_queues import BROKER, STORE, policy
from tests.servers import free_port
from tidings.testing import eventually
from tidings_activemq import open_exchange, subscriber_queues

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.activemq.conftest import MakeProducer
    from tests.servers import ActiveMQ

CONNECTORS = "<transportConnectors>"
ROUTED = {"routing": "topic", "subscribers": {"app": ["shop.*"], "all": ["#"]}}
KINDS: dict[str, tuple[dict[str, Any], int, list[str]]] = {
    "plain": ({}, 0, [""]),
    "parted": ({}, 2, [".0", ".1"]),
    "routed": (ROUTED, 0, [".shop.*"]),
    "both": (ROUTED, 2, [".0.shop.*", ".1.shop.*"]),
}
"""For each kind of exchange its settings, partitions, and what ends its queues' names."""


class Kind:
    """An exchange of one kind, open."""

    def __init__(self, kind: str, make_producer: MakeProducer, url: str, exchange: str) -> None:
        settings, self._partitions, ends = KINDS[kind]
        self.exchange = f"{exchange}-{kind}"
        self.queues = [f"{queue_of(self.exchange)}{end}" for end in ends]
        self.producer = make_producer(url=url, **settings)
        self.producer.open(self.exchange, partitions=self._partitions)

    def publish(self, first_id: int) -> None:
        """Publish an event for each queue."""
        for number in range(len(self.queues)):
            partition = number if self._partitions else None
            message = MESSAGE._replace(routing_key="shop.paid", partition=partition)
            self.producer.send(self.exchange, message, "OrderPlaced", first_id + number, NOW)
        self.producer.flush(self.exchange)

    def assert_published(self, client: Client, first_id: int) -> None:
        """See that each queue holds its event of that `publish`, and nothing else."""
        found = {queue: ids(client.browse(queue)) for queue in self.queues}
        assert found == {queue: [first_id + n] for n, queue in enumerate(self.queues)}


def test_a_subscribers_queue_is_not_collected_while_the_relay_is_connected(
    configured_activemq: Callable[..., ActiveMQ], make_producer: MakeProducer, exchange: str
) -> None:
    broker = configured_activemq(
        replacing={
            BROKER: f'{BROKER} schedulePeriodForDestinationPurge="200"',
            STORE: policy('gcInactiveDestinations="true" inactiveTimeoutBeforeGC="300"'),
        }
    )
    kinds = [Kind(kind, make_producer, broker.url, exchange) for kind in KINDS]
    with Client(broker.url) as client:
        subscription = client.subscribe("/queue/bystander")
        client.request("UNSUBSCRIBE", {"id": subscription})

        def collected() -> bool:
            for kind in kinds:
                kind.producer.wait(kind.exchange, 0.05)
            return "bystander Inactive for longer" in broker.output.read_text()

        eventually(collected, "the collection of a queue that nobody uses", 60)
        for kind in kinds:
            kind.publish(1)

        for kind in kinds:
            kind.assert_published(client, 1)


def test_a_queue_that_an_operator_has_deleted_is_made_again(
    configured_activemq: Callable[..., ActiveMQ],
    make_producer: MakeProducer,
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    openwire = f'<transportConnector name="openwire" uri="tcp://127.0.0.1:{port}"/>'
    broker = configured_activemq(replacing={CONNECTORS: CONNECTORS + openwire})
    renewed: list[subscriber_queues.SubscriberQueues] = []

    class Told(subscriber_queues.SubscriberQueues):
        """Tells when it subscribes anew."""

        @override
        def renewal(self) -> bytes:
            renewed.append(self)
            return super().renewal()

    monkeypatch.setattr(open_exchange, "SubscriberQueues", Told)
    monkeypatch.setattr(subscriber_queues, "RENEW", 3600.0)
    kinds = [Kind(kind, make_producer, broker.url, exchange) for kind in KINDS]
    for kind in kinds:
        for queue in kind.queues:
            delete_queue(port, queue)
        kind.publish(1)  # into nowhere, as the README says
    monkeypatch.setattr(subscriber_queues, "RENEW", 0.0)

    def all_are_renewed() -> bool:
        for kind in kinds:
            kind.producer.wait(kind.exchange, 0.05)
        return len(set(renewed)) == len(kinds)

    eventually(all_are_renewed, "the subscriptions to be made anew", 60)
    for kind in kinds:
        kind.publish(11)

    with Client(broker.url) as client:
        for kind in kinds:
            kind.assert_published(client, 11)
