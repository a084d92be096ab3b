"""What goes on beside a measurement: a subscriber that takes times, and a steady writer."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pika

from benchmarks.stored import configured, new_event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Event

TICK_SECONDS = 0.01
"""Between two transactions of the writer."""


class Timed:
    """When the last message came."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.at = 0.0

    def receive(self, *_message: object) -> None:
        """Note a message."""
        self.at = time.perf_counter()
        self.came.set()


@contextmanager
def subscriber(broker_url: str, exchange: str, aggregate_id: str) -> Iterator[Timed]:
    """Time the messages of one aggregate, in a thread.

    The broker itself passes over the others: no subscriber in Python keeps up with the relay. They
    go to a queue that holds one of them, so that none is unroutable.
    """
    timed = Timed()
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    channel = connection.channel()
    channel.exchange_declare(exchange, "fanout", durable=True)
    others = channel.queue_declare("", exclusive=True, arguments={"x-max-length": 1}).method.queue
    channel.queue_bind(others, exchange)
    channel.exchange_declare(f"{exchange}-timed", "headers", auto_delete=True)
    channel.exchange_bind(f"{exchange}-timed", exchange)
    queue = channel.queue_declare("", exclusive=True).method.queue
    wanted = {"x-match": "all", "aggregate_id": aggregate_id}
    channel.queue_bind(queue, f"{exchange}-timed", arguments=wanted)
    channel.basic_consume(queue, timed.receive, auto_ack=True)
    thread = threading.Thread(target=channel.start_consuming)
    thread.start()
    try:
        yield timed
    finally:
        connection.add_callback_threadsafe(channel.stop_consuming)
        thread.join()
        connection.close()


def write_steadily(database_url: str, rate: float, began: Event, over: Event) -> None:
    """Append ``rate`` events a second, in a transaction every tick, until ``over``."""
    with configured(database_url) as tidings:
        store = tidings.event_store()
        start, written = time.perf_counter(), 0
        while not over.wait(TICK_SECONDS):
            due = int(rate * (time.perf_counter() - start)) - written
            with store.transaction() as transaction:
                store.append(transaction, *map(new_event, range(written, written + due)))
            written += due
            began.set()
        store.close()
