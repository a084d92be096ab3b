"""From the commit of an event to its message at a subscriber, with RabbitMQ in between."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from statistics import quantiles
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from benchmarks import servers
from benchmarks.background import subscriber, write_steadily
from benchmarks.stored import new_event
from benchmarks.tables import show
from tidings import NewEvent, Tidings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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

    @override
    def __str__(self) -> str:
        return f"{self.kind}, {'wake-up' if self.wake_up else 'polling'}"


def run(kinds: tuple[str, ...], events: int, folder: Path) -> None:
    """Measure, and print a table."""
    rows: list[tuple[str, ...]] = []
    with servers.started(servers.rabbitmq) as broker, servers.databases(kinds, folder) as new:
        for kind, new_database in new.items():
            rate: float | None = None  # the same for all ways of one database
            for wake_up in (False, True) if kind == "postgresql" else (False,):
                bench = _Bench(Way(kind, wake_up), new_database(), broker.url, folder)
                with bench.ready():
                    idle = bench.idle(events)
                    rate = rate or bench.half_rate()
                    loaded = bench.loaded(events, rate)
                rows.append(_row(f"{bench.way}, idle", idle, 0))
                rows.append(_row(f"{bench.way}, half load", loaded, rate))
    columns = ("", "p50 ms", "p99 ms", "most", "load, events/s")
    show(f"Commit to subscriber, {events} events each", columns, rows)


class _Bench:
    """A relay from one database to a subscriber."""

    def __init__(self, way: Way, database_url: str, broker_url: str, folder: Path) -> None:
        self.way = way
        self._database_url = database_url
        self._broker_url = broker_url
        self._exchange = f"latency-{next(_numbers)}"
        self._folder = folder

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Let the relay run, and somebody listen; the first event has gone through."""
        file = self._folder / "tidings.toml"
        url = self._database_url.replace("+psycopg", "").replace("+pymysql", "")
        wake_up = str(self.way.wake_up).lower()
        file.write_text(
            CONFIGURATION.format(
                url=url, wake_up=wake_up, exchange=self._exchange, broker=self._broker_url
            )
        )
        with (
            Tidings.from_file(file, environ={}) as self._tidings,
            closing(self._tidings.event_store()) as self._store,
            subscriber(self._broker_url, self._exchange, SAMPLED) as self._timed,
        ):
            self._store.create()
            self._tidings.tracker.create()
            with _relay(self._folder):
                self._one((0, 0))
                yield

    def idle(self, events: int) -> list[float]:
        """Time events while nothing else happens."""
        return [self._one(IDLE_PAUSE_SECONDS) for _ in range(events)]

    def half_rate(self) -> float:
        """Return half of the events a second that the relay carries when there are enough."""
        return min(self._burst() for _ in range(BURSTS)) / 2

    def loaded(self, events: int, rate: float) -> list[float]:
        """Time events among ``rate`` others a second, which another process appends."""
        with _load(self._database_url, rate):
            return [self._one(LOADED_PAUSE_SECONDS) for _ in range(events)]

    def _one(self, pause: tuple[float, float]) -> float:
        """Commit one event, out of step with everything; return the seconds until it arrives."""
        time.sleep(random.uniform(*pause))
        self._timed.came.clear()
        with self._store.transaction() as transaction:
            self._store.append(transaction, NewEvent("Sampled", {}, aggregate_id=SAMPLED))
        committed = time.perf_counter()
        if not self._timed.came.wait(PATIENCE):
            raise RuntimeError(f"An event did not arrive within {PATIENCE:g} s.")
        return self._timed.at - committed

    def _burst(self) -> float:
        with self._store.transaction() as transaction:
            self._store.append(transaction, *map(new_event, range(BURST)))
        began = time.perf_counter()
        newest = self._store.newest_event_id() or 0
        tracked = self._tidings.tracker.most_recent_published_message_id
        while (tracked(self._exchange) or 0) < newest:
            if time.perf_counter() - began > PATIENCE:
                raise RuntimeError(f"{BURST} events were not published within {PATIENCE:g} s.")
            time.sleep(LOOK_EVERY)
        return BURST / (time.perf_counter() - began)


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
