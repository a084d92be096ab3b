"""From the commit of an event to its message at a subscriber, with RabbitMQ in between."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from statistics import quantiles
from typing import TYPE_CHECKING

import pika

from benchmarks import servers
from benchmarks.stored import configured, new_event
from benchmarks.tables import show

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidings import EventStore

EXCHANGE = "benchmark"
PATIENCE = 60.0
PAUSE_SECONDS = (0.1, 0.5)
"""Between two commits: longer than the relay polls, and out of step with it."""

CONFIGURATION = """\
[event_store]
url = "{url}"

[exchanges.{exchange}]
producer = "rabbitmq"

[producers.rabbitmq]
url = "{broker}"
"""


def run(kinds: tuple[str, ...], events: int, folder: Path) -> None:
    """Measure, and print a table."""
    rows = []
    with servers.started(servers.rabbitmq) as broker, servers.databases(kinds, folder) as new:
        for kind, new_database in new.items():
            seconds = _latencies(new_database(), broker.url, events, folder)
            hundredths = quantiles(seconds, n=100, method="inclusive")
            figures = (hundredths[49], hundredths[98], max(seconds))
            rows.append((f"{kind}, polling", *(f"{value * 1000:.1f}" for value in figures)))
    show(f"Commit to subscriber, idle, {events} events", ("", "p50 ms", "p99 ms", "most"), rows)


def _latencies(database_url: str, broker_url: str, events: int, folder: Path) -> list[float]:
    """Commit events one at a time, and time each until it has been received."""
    url = database_url.replace("+psycopg", "").replace("+pymysql", "")
    (folder / "tidings.toml").write_text(
        CONFIGURATION.format(url=url, exchange=EXCHANGE, broker=broker_url)
    )
    with configured(database_url) as tidings, _subscriber(broker_url) as subscriber:
        store = tidings.event_store()
        store.create()
        relay = subprocess.Popen(
            [sys.executable, "-m", "tidings", "run"], cwd=folder, stderr=subprocess.DEVNULL
        )
        try:
            _one(store, subscriber, 0)
            return [_one(store, subscriber, number) for number in range(1, events + 1)]
        finally:
            relay.terminate()
            relay.wait()
            store.close()


def _one(store: EventStore, subscriber: _Subscriber, number: int) -> float:
    time.sleep(random.uniform(*PAUSE_SECONDS))
    subscriber.came.clear()
    with store.transaction() as transaction:
        store.append(transaction, new_event(number))
    committed = time.perf_counter()
    if not subscriber.came.wait(PATIENCE):
        raise RuntimeError(f"Event {number} did not arrive within {PATIENCE:g} s.")
    return subscriber.at - committed


class _Subscriber:
    def __init__(self) -> None:
        self.came = threading.Event()
        self.at = 0.0

    def receive(self, *_message: object) -> None:
        self.at = time.perf_counter()
        self.came.set()


@contextmanager
def _subscriber(broker_url: str) -> Iterator[_Subscriber]:
    """Read the exchange over a queue of its own, in a thread."""
    subscriber = _Subscriber()
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    channel = connection.channel()
    channel.exchange_declare(EXCHANGE, "fanout", durable=True)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, EXCHANGE)
    channel.basic_consume(queue, subscriber.receive, auto_ack=True)
    thread = threading.Thread(target=channel.start_consuming)
    thread.start()
    try:
        yield subscriber
    finally:
        connection.add_callback_threadsafe(channel.stop_consuming)
        thread.join()
        connection.close()
