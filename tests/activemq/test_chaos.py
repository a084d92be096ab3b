"""Publishers and brokers that are killed and frozen, judged by an independent reader."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import pytest

from tests.activemq.client import Client, ids, queue_of
from tests.activemq.sending import send
from tests.rabbitmq.kills import REPOSITORY, Verdict, judge, kill_publishers
from tests.remembered import newest_id
from tidings.plugins import BrokerUnavailableError, ExchangeLockedError
from tidings.testing import eventually
from tidings.testing.samples import send_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.activemq.conftest import MakeConsumer, MakeProducer
    from tests.servers import ActiveMQ
    from tests.servers.given import Broker
    from tidings_activemq.consumer import ActiveMQConsumer
    from tidings_activemq.producer import ActiveMQProducer

pytestmark = pytest.mark.chaos

PUBLISHER = "tests.activemq.publisher"
NOTHING_WRONG = Verdict(lost=0, duplicated=0, reordered=0)


def judge_queue(url: str, queue: str, newest: int) -> Verdict:
    """Compare what is in a queue with 1, 2, 3, ... to `newest`."""
    with Client(url) as client:
        read = ids(client.read_fast(queue, newest))
        after_the_newest = client.frame(0.2)
    assert after_the_newest is None
    assert max(read) == newest
    return judge(read)


def published(url: str, exchange: str) -> int:
    """Return the newest id that a token bears."""
    with Client(url) as client:
        tokens = client.browse(f"{exchange}.tracker")
    return max((int(json.loads(token.body)["event_id"]) for token in tokens), default=0)


def test_killed_publishers_lose_repeat_and_reorder_nothing(
    activemq: Broker, make_producer: MakeProducer, exchange: str, tmp_path: Path
) -> None:
    settings = {"url": activemq.url, "subscribers": ["app", "audit"], "batch_size": 100}
    begun = kill_publishers(6, PUBLISHER, settings, exchange, tmp_path)

    newest = take_over(make_producer(), exchange)

    assert begun == sorted(begun)
    assert 0 < begun[-1] <= newest
    for subscriber in ("app", "audit"):
        assert judge_queue(activemq.url, queue_of(exchange, subscriber), newest) == NOTHING_WRONG


def test_a_killed_broker_loses_repeats_and_reorders_nothing(
    own_activemq: Callable[..., ActiveMQ], make_producer: MakeProducer, exchange: str
) -> None:
    broker = own_activemq()
    settings = {"url": broker.url, "batch_size": 100, "connect_timeout": 1}
    with publisher(settings, exchange) as lines:
        for _ in range(2):
            begun = int(lines.readline())
            eventually(lambda: published(broker.url, exchange) > begun, "an event", 60)  # noqa: B023 - called at once
            # The moment is random on purpose: anything may be in flight.
            threading.Event().wait(random.uniform(0, 0.4))  # noqa: S311
            broker.kill()
            broker.start()
        assert int(lines.readline()) > begun

    newest = take_over(make_producer(url=broker.url), exchange)
    assert newest > begun
    assert judge_queue(broker.url, queue_of(exchange), newest) == NOTHING_WRONG


def test_a_publisher_goes_on_after_a_frozen_broker_has_thawed(
    own_activemq: Callable[..., ActiveMQ], make_producer: MakeProducer, exchange: str
) -> None:
    broker = own_activemq()
    producer = make_producer(
        url=broker.url, no_progress_timeout=2, send_timeout=2, connect_timeout=2
    )
    producer.open(exchange)
    send_all(producer, exchange, range(1, 11))
    producer.flush(exchange)
    broker.freeze()
    send_all(producer, exchange, range(11, 21))
    with pytest.raises(BrokerUnavailableError):
        producer.flush(exchange)
    accepted = producer.accepted_id(exchange)
    producer.close(exchange)
    with pytest.raises(BrokerUnavailableError, match="connect_timeout"):
        producer.open(exchange)
    broker.thaw()
    send_all(producer, exchange, range(take_over(producer, exchange) + 1, 31))
    producer.flush(exchange)

    assert accepted == 10
    with Client(broker.url) as client:
        assert ids(client.read_fast(queue_of(exchange), 30)) == list(range(1, 31))


def test_a_frozen_publisher_loses_the_token_and_publishes_nothing_when_it_wakes(
    activemq: Broker, make_producer: MakeProducer, exchange: str
) -> None:
    settings = {"url": activemq.url, "heartbeat": 1, "token_timeout": 0.3}
    with publisher(settings, exchange) as lines:
        lines.readline()
        os.kill(lines.pid, signal.SIGSTOP)
        other = make_producer()
        start = take_over(other, exchange)
        send(other, exchange, start + 1)
        other.flush(exchange)
        os.kill(lines.pid, signal.SIGCONT)
        send_all(other, exchange, range(start + 2, start + 3000))
        other.flush(exchange)
    assert judge_queue(activemq.url, queue_of(exchange), start + 2999) == NOTHING_WRONG


def test_a_killed_broker_gives_a_consumer_again_only_what_it_may(
    own_activemq: Callable[..., ActiveMQ],
    make_producer: MakeProducer,
    make_consumer: MakeConsumer,
    exchange: str,
) -> None:
    broker = own_activemq()
    producer, consumer = make_producer(url=broker.url), make_consumer(url=broker.url)
    producer.open(exchange)
    send_all(producer, exchange, range(1, 101))
    producer.flush(exchange)
    consumer.open(exchange)
    read = []
    for _ in range(50):
        message = consumer.receive(30)
        assert message
        consumer.acknowledge(message)
        read.append(int(message.message_id))
    broker.kill()
    with pytest.raises(BrokerUnavailableError):
        receive_for_ever(consumer)
    consumer.close()
    broker.start()
    consumer.open(exchange)
    while read[-1] < 100:
        message = consumer.receive(30)
        assert message
        read.append(int(message.message_id))

    assert judge(read).lost == judge(read).reordered == 0
    assert consumer.receive(0.5) is None


class Lines:
    """The process that publishes, and what it says."""

    def __init__(self, process: subprocess.Popen[str], output: IO[str]) -> None:
        self.pid = process.pid
        self.readline = output.readline


@contextmanager
def publisher(settings: dict[str, object], exchange: str) -> Iterator[Lines]:
    """Run a publisher until the end of the block, then kill it."""
    command = [sys.executable, "-m", PUBLISHER, json.dumps(settings), exchange]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Lines(process, process.stdout)
            assert process.poll() is None, "the publisher ended by itself"
        finally:
            process.kill()


def receive_for_ever(consumer: ActiveMQConsumer) -> None:
    while True:
        consumer.receive(5)


def take_over(producer: ActiveMQProducer, exchange: str) -> int:
    """Open as soon as the broker gives the token; return the id that it bears."""

    def opened() -> bool:
        try:
            producer.open(exchange)
        except (ExchangeLockedError, BrokerUnavailableError):
            return False
        return True

    eventually(opened, "the token", 60)
    return newest_id(producer, exchange) or 0
