"""From the commit of an event to its message at a subscriber, with RabbitMQ in between."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from statistics import quantiles
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import servers
from benchmarks.background import Timed, subscriber, write_steadily
from benchmarks.stored import new_event
from benchmarks.tables import show
from tidings import NewEvent
from tidings.bootstrap import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tidings import EventStore, Tidings

PATIENCE = 60.0
IDLE_PAUSE_SECONDS = (0.1, 0.5)
"""Between two commits: longer than the relay polls, and out of step with it."""
LOADED_PAUSE_SECONDS = (0.02, 0.1)
BURST = 5000
"""Events that show at which rate the relay works when it has enough to do."""
BURSTS = 3
"""Of which the slowest counts: half of what the relay can't sustain would be no half load."""
LOOK_EVERY = 0.005
SAMPLED = "sampled"

CONFIGURATION = """\
[event_store]
url = "{url}"
wake_up = {wake_up}

[exchanges.{exchange}]
producer = "rabbitmq"

[producers.rabbitmq]
url = "{broker}"
"""

_numbers = itertools.count(1)


class Way(NamedTuple):
    """How the relay learns that there are events."""

    kind: str
    wake_up: bool

    def __str__(self) -> str:
        return f"{self.kind}, {'wake-up' if self.wake_up else 'polling'}"


def run(kinds: tuple[str, ...], events: int, folder: Path) -> None:
    """Measure, and print a table."""
    rows: list[tuple[str, ...]] = []
    with servers.started(servers.rabbitmq) as broker, servers.databases(kinds, folder) as new:
        for kind, new_database in new.items():
            for way in (Way(kind, False), Way(kind, True))[: 2 if kind == "postgresql" else 1]:
                rows += _measure(way, new_database, broker.url, events, folder)
    columns = ("", "p50 ms", "p99 ms", "most", "load, events/s")
    show(f"Commit to subscriber, {events} events each", columns, rows)


def _measure(
    way: Way, new_database: Callable[[], str], broker_url: str, events: int, folder: Path
) -> Iterator[tuple[str, ...]]:
    exchange = f"latency-{next(_numbers)}"
    database_url = new_database()
    (folder / "tidings.toml").write_text(
        CONFIGURATION.format(
            url=database_url.replace("+psycopg", "").replace("+pymysql", ""),
            wake_up=str(way.wake_up).lower(),
            exchange=exchange,
            broker=broker_url,
        )
    )
    with (
        bootstrap(folder / "tidings.toml", environ={}) as tidings,
        subscriber(broker_url, exchange, SAMPLED) as timed,
    ):
        store = tidings.event_store()
        store.create()
        tidings.tracker.create()
        with _relay(folder):
            _one(store, timed, (0, 0))
            idle = [_one(store, timed, IDLE_PAUSE_SECONDS) for _ in range(events)]
            yield _row(f"{way}, idle", idle, 0)
            rate = min(_burst(tidings, store, exchange) for _ in range(BURSTS)) / 2
            with _load(database_url, rate):
                loaded = [_one(store, timed, LOADED_PAUSE_SECONDS) for _ in range(events)]
            yield _row(f"{way}, half load", loaded, rate)
        store.close()


def _row(name: str, seconds: list[float], rate: float) -> tuple[str, ...]:
    hundredths = quantiles(seconds, n=100, method="inclusive")
    figures = (hundredths[49], hundredths[98], max(seconds))
    return (name, *(f"{value * 1000:.1f}" for value in figures), f"{rate:,.0f}")


@contextmanager
def _relay(folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "tidings", "run"]
    relay = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        relay.terminate()
        relay.wait()


def _one(store: EventStore, timed: Timed, pause: tuple[float, float]) -> float:
    """Commit one event, out of step with everything; return the seconds until it arrives."""
    time.sleep(random.uniform(*pause))
    timed.came.clear()
    with store.transaction() as transaction:
        store.append(transaction, NewEvent("Sampled", {}, aggregate_id=SAMPLED))
    committed = time.perf_counter()
    if not timed.came.wait(PATIENCE):
        raise RuntimeError(f"An event did not arrive within {PATIENCE:g} s.")
    return timed.at - committed


def _burst(tidings: Tidings, store: EventStore, exchange: str) -> float:
    """Return the events a second that the relay carries while there are enough of them."""
    with store.transaction() as transaction:
        store.append(transaction, *map(new_event, range(BURST)))
    began = time.perf_counter()
    newest = store.newest_event_id() or 0
    while (tidings.tracker.most_recent_published_message_id(exchange) or 0) < newest:
        if time.perf_counter() - began > PATIENCE:
            raise RuntimeError(f"{BURST} events were not published within {PATIENCE:g} s.")
        time.sleep(LOOK_EVERY)
    return BURST / (time.perf_counter() - began)


@contextmanager
def _load(database_url: str, rate: float) -> Iterator[None]:
    """Let a process of its own append ``rate`` events a second, from now on."""
    context = multiprocessing.get_context("spawn")
    began, over = context.Event(), context.Event()
    writer = context.Process(target=write_steadily, args=(database_url, rate, began, over))
    writer.start()
    try:
        if not began.wait(PATIENCE):
            raise RuntimeError(f"The writer did not begin within {PATIENCE:g} s.")
        yield
    finally:
        over.set()
        writer.join()
    if writer.exitcode:
        raise RuntimeError("The writer in the background failed.")
