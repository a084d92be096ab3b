"""Partitions on a real broker: which queue has what, and who of several consumers reads it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from pika.exceptions import ChannelClosedByBroker
from pydantic import SecretStr
from typing_extensions import override

from tests.command import Project
from tests.rabbitmq.client import NOON, Client, message
from tidings.plugins import BrokerRefusedError, NotAcceptedError, Position
from tidings.testing import eventually
from tidings_rabbitmq import shares, upkeep
from tidings_rabbitmq.consumer import RabbitMQConsumer
from tidings_rabbitmq.frames import MessageEncoder
from tidings_rabbitmq.settings import RabbitMQSettings
from tidings_rabbitmq.shares import share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.rabbitmq.conftest import MakeProducer
    from tests.servers.given import StreamBroker
    from tidings.plugins import ReceivedMessage
    from tidings.testing.proxy import TcpProxy
    from tidings_rabbitmq.producer import RabbitMQProducer

PARTITIONS = 4


def send(
    producer: RabbitMQProducer, exchange: str, event_id: int, partition: int, key: str = ""
) -> None:
    sent = message(event_id)._replace(partition=partition, routing_key=key)
    producer.send(exchange, sent, "OrderPlaced", event_id, NOON)


def send_by_turns(producer: RabbitMQProducer, exchange: str, first: int, last: int) -> None:
    for event_id in range(first, last + 1):
        send(producer, exchange, event_id, event_id % PARTITIONS)
    producer.flush(exchange)


def of_partition(partition: int, first: int, last: int) -> list[int]:
    return [event_id for event_id in range(first, last + 1) if event_id % PARTITIONS == partition]


@pytest.mark.parametrize(
    ("exchange_type", "resume"),
    [
        ("fanout", "tracker"),
        ("topic", "tracker"),
        ("direct", "tracker"),
        ("headers", "tracker"),
        ("fanout", "tail"),
        ("topic", "tail"),
    ],
)
def test_each_queue_has_its_partition_whatever_the_exchange_is(
    make_producer: MakeProducer, client: Client, exchange: str, exchange_type: str, resume: str
) -> None:
    bindings = ["shop.paid"] if exchange_type == "direct" else None
    producer = make_producer(exchange_type=exchange_type, bindings=bindings, resume=resume)
    producer.open(exchange, partitions=PARTITIONS)
    for event_id in range(1, 21):
        send(producer, exchange, event_id, event_id % PARTITIONS, "shop.paid")
    producer.flush(exchange)

    for partition in range(PARTITIONS):
        seen = client.drain(f"{exchange}.{partition}")
        assert [each.event_id for each in seen] == of_partition(partition, 1, 20)
        assert {each.properties.headers["partition"] for each in seen} == {str(partition)}
        assert {each.routing.routing_key for each in seen} == {"shop.paid"}


def test_routing_keys_choose_before_partitions_do(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    billing, audit = f"{exchange}.billing", f"{exchange}.audit"
    queues = {billing: ["shop.paid", "shop.invoice.*"], audit: ["#"]}
    producer = make_producer(exchange_type="topic", queues=queues)
    producer.open(exchange, partitions=PARTITIONS)
    for event_id, key in enumerate(["shop.paid", "user.seen", "shop.invoice.sent", "shop.paid"]):
        send(producer, exchange, event_id, event_id % 2, key)
    producer.flush(exchange)

    assert [client.ids(f"{billing}.{partition}") for partition in (0, 1)] == [[0, 2], [3]]
    assert [client.ids(f"{audit}.{partition}") for partition in (0, 1)] == [[0, 2], [1, 3]]


def test_check_looks_at_the_partitions_too(
    rabbitmq: StreamBroker, client: Client, exchange: str, tmp_path: Path
) -> None:
    project = Project(tmp_path)
    project.configure(
        '[event_store]\nurl = "sqlite:///events.db"\n'
        f'[exchanges.{exchange}]\nproducer = "rabbitmq"\n'
        f'partition_by = "aggregate_id"\npartitions = {PARTITIONS}\n'
        f'[producers.rabbitmq]\nurl = "{rabbitmq.url}"\n'
    )
    project.succeed("init", "--tables")

    project.succeed("check")

    assert client.count(f"{exchange}.{PARTITIONS - 1}") == 0
    with pytest.raises(ChannelClosedByBroker, match="no queue"):
        client.count(exchange)


def test_a_queue_that_is_bound_as_before_goes_on_getting_everything(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer()
    producer.open(exchange)
    producer.close(exchange)
    producer.open(exchange, partitions=PARTITIONS)
    send_by_turns(producer, exchange, 1, 8)

    assert client.ids(exchange) == [*range(1, 9)]
    assert client.ids(f"{exchange}.1") == [1, 5]


def test_a_missing_queue_of_one_partition_is_noticed_at_once(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer()
    producer.open(exchange, partitions=PARTITIONS)
    client.channel.queue_delete(f"{exchange}.3")
    send(producer, exchange, 1, 2)
    send(producer, exchange, 2, 3)

    with pytest.raises(NotAcceptedError, match="event 2: it would reach no queue"):
        producer.flush(exchange)
    producer.close(exchange)
    producer.open(exchange, partitions=PARTITIONS)
    send(producer, exchange, 2, 3)
    producer.flush(exchange)

    assert (client.ids(f"{exchange}.2"), client.ids(f"{exchange}.3")) == ([1], [2])


def test_or_soon_if_another_subscriber_got_the_message(
    make_producer: MakeProducer, client: Client, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LOOK_SECONDS", 0.1)
    client.channel.exchange_declare(exchange, "fanout", durable=True)
    theirs = client.channel.queue_declare("", exclusive=True).method.queue
    client.channel.queue_bind(theirs, exchange)
    producer = make_producer()
    producer.open(exchange, partitions=PARTITIONS)
    client.channel.queue_unbind(
        f"{exchange}.1", f"{exchange}.partitions", "1", {"x-match": "all", "partition": "1"}
    )
    for event_id in range(1, 1000):
        send(producer, exchange, event_id, 1)
        producer.flush(exchange)
        producer.wait(exchange, 0.02)
        if client.count(f"{exchange}.1"):
            break
    assert client.count(f"{exchange}.1")

    client.channel.queue_delete(f"{exchange}.3")
    with pytest.raises(NotAcceptedError, match=rf"no queue '{exchange}\.3'"):
        producer.wait(exchange, 20)


def test_what_is_made_for_a_user_who_may_make_nothing_is_found(
    rabbitmq: StreamBroker, make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    url = rabbitmq.add_user(exchange, "secret", configure="^$", write=".*", read=".*")
    billing = f"{exchange}.billing"
    make_producer(queues=[billing]).open(exchange, partitions=PARTITIONS)
    restricted: dict[str, Any] = {"url": url, "topology": "check", "queues": [billing]}
    producer = make_producer(**restricted, lock=False)
    producer.open(exchange, partitions=PARTITIONS)
    send_by_turns(producer, exchange, 1, 8)
    consumer = RabbitMQConsumer(RabbitMQSettings(**restricted), None)
    consumer.select_partitions([3], PARTITIONS)
    consumer.open(exchange)

    assert [received.message_id for _ in range(2) if (received := consumer.receive(20))] == [
        "3",
        "7",
    ]
    consumer.close()
    client.channel.queue_delete(f"{billing}.2")
    with pytest.raises(BrokerRefusedError, match=rf"no queue '{billing}\.2'"):
        make_producer(**restricted, lock=False).open(exchange, partitions=PARTITIONS)


def test_a_header_of_that_name_is_poison_only_if_the_exchange_is_parted() -> None:
    encoder = MessageEncoder(1, "shop", 131072, "tidings", Position())
    plain = message(1)._replace(headers={"partition": "mine"})

    assert b"mine" in b"".join(encoder.encode(plain, "A", 1, NOON))
    with pytest.raises(ValueError, match="its header 'partition' has a meaning of its own"):
        encoder.encode(plain._replace(partition=1), "A", 1, NOON)


def test_a_subscribers_name_that_leaves_no_room_is_refused(
    make_producer: MakeProducer, exchange: str
) -> None:
    producer = make_producer(queues=["x" * 245])
    producer.open(exchange)
    producer.close(exchange)

    with pytest.raises(BrokerRefusedError, match="it has 256 bytes, and may have 255"):
        producer.open(exchange, partitions=PARTITIONS)


def test_partitions_of_a_queue_for_the_moment_are_refused(
    rabbitmq: StreamBroker, exchange: str
) -> None:
    settings = RabbitMQSettings(url=SecretStr(rabbitmq.url), exchange_type="topic")
    consumer = RabbitMQConsumer(settings, None)
    consumer.select(["shop.#"])
    consumer.select_partitions([1], PARTITIONS)

    with pytest.raises(BrokerRefusedError, match="Say which subscriber"):
        consumer.open(exchange)
    consumer.select_partitions([], PARTITIONS)
    consumer.open(exchange)
    consumer.close()


@pytest.mark.parametrize(
    ("consumers", "wanted"),
    [([1] * 8, 8), ([2] * 8, 4), ([3] * 8, 3), ([4] * 8, 2), ([9] * 8, 1), ([1, 1, 2, 2], 3)],
)
def test_a_share_leaves_nothing_unread(consumers: list[int], wanted: int) -> None:
    assert share(consumers) == wanted


class Process(threading.Thread):
    """A consumer as a process has it, which acknowledges all that comes until it is told to end."""

    def __init__(self, url: str, exchange: str, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.consumer = RabbitMQConsumer(RabbitMQSettings(url=SecretStr(url)), None)
        self.consumer.select_partitions([], PARTITIONS)
        self.exchange = exchange
        self.came: list[tuple[int, int, float]] = []
        self.ending = self.crashing = False
        self.holds_one = threading.Event()

    @override
    def run(self) -> None:
        self.consumer.open(self.exchange)
        while not self.ending:
            message = self.consumer.receive(0.05)
            if message is not None and message.partition is not None:
                self.came.append((message.partition, int(message.message_id), time.monotonic()))
                if self.crashing:
                    self.holds_one.set()
                    return
                self.consumer.acknowledge(message)
        self.consumer.close()

    def partitions_since(self, event_id: int) -> set[int]:
        return {partition for partition, each, _ in self.came if each > event_id}


def came_to(processes: list[Process]) -> set[int]:
    return {event_id for each in processes for _, event_id, _ in [*each.came]}


@pytest.fixture
def processes(rabbitmq: StreamBroker, proxied: str, exchange: str) -> Iterator[list[Process]]:
    """Give four of them; the second one's connection is the proxy's."""
    made = [Process(proxied if name == "B" else rabbitmq.url, exchange, name) for name in "ABCD"]
    yield made
    for each in made:
        each.ending = True
        if each.ident is not None:
            each.join()
            each.consumer.close()


def test_consumers_share_the_partitions_and_take_over_in_order(
    make_producer: MakeProducer,
    processes: list[Process],
    proxy: TcpProxy,
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shares, "LOOK_SECONDS", 0.2)
    producer = make_producer()
    producer.open(exchange, partitions=PARTITIONS)
    last = 0

    def send_more() -> None:
        nonlocal last
        send_by_turns(producer, exchange, last + 1, last + 4 * PARTITIONS)
        last += 4 * PARTITIONS

    def shared_by(those: list[Process]) -> None:
        """Go on publishing until each has its share and no more."""

        def is_shared() -> bool:
            begun = last
            send_more()
            eventually(lambda: len(came_to(processes)) == last, "all", 60)
            found = [len(each.partitions_since(begun)) for each in those]
            return sum(found) == PARTITIONS and max(found) - min(found) <= 1

        eventually(is_shared, f"{len(those)} have their shares", 60)

    one, *others = processes
    one.start()
    shared_by([one])
    for each in others:
        each.start()
    shared_by(processes)
    one.ending = True
    one.join()
    shared_by(others)
    others[0].crashing = True
    send_more()
    assert others[0].holds_one.wait(60)
    proxy.cut()
    shared_by(others[1:])

    came: defaultdict[int, list[tuple[float, int]]] = defaultdict(list)
    for each in processes:
        for partition, event_id, when in each.came:
            came[partition].append((when, event_id))
    for partition in range(PARTITIONS):
        in_time = [event_id for _, event_id in sorted(came[partition])]
        assert [*dict.fromkeys(in_time)] == of_partition(partition, 1, last)


def test_what_is_in_hand_is_acknowledged_before_the_partition_is_handed_over(
    rabbitmq: StreamBroker,
    make_producer: MakeProducer,
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shares, "LOOK_SECONDS", 0.1)
    producer = make_producer()
    producer.open(exchange, partitions=2)
    settings = RabbitMQSettings(url=SecretStr(rabbitmq.url))
    first, second = (RabbitMQConsumer(settings, None) for _ in range(2))
    for each in (first, second):
        each.select_partitions([], 2)
        each.open(exchange)
    for event_id in range(1, 5):
        send(producer, exchange, event_id, event_id % 2)
    producer.flush(exchange)
    found: list[int] = []
    held: list[ReceivedMessage] = []

    def share_once_one_is_held(consumers: Iterable[int]) -> int:
        if not held:
            return 2
        found.append(share(consumers))
        return found[-1]

    monkeypatch.setattr(shares, "share", share_once_one_is_held)
    while (in_hand := first.receive(20)) and in_hand.partition == 0:
        first.acknowledge(in_hand)
    assert in_hand
    held.append(in_hand)

    def lets_go() -> bool:
        first.wait(0.05)
        return 1 in found

    eventually(lets_go, "it has one partition too many", 20)
    first.wait(0.5)
    assert second.receive(0.1) is None, "while a message is in hand, nobody has the next one"
    first.acknowledge(in_hand)
    first.wait(0.1)

    received = second.receive(20)
    assert received
    assert (received.partition, received.message_id) == (1, "3")
    with pytest.raises(RuntimeError, match="acknowledged before"):
        first.acknowledge(in_hand)
    first.close()
    second.close()
