"""What many exchanges in one relay take, busy and idle."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import psutil
from tests.servers import PostgreSQL

from benchmarks import servers, stored
from benchmarks.measuring import Spread, in_rounds, ratios
from benchmarks.tables import show, spread
from benchmarks.wire import amqp
from tidings.relay.exchange_relay import ExchangeRelay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.measuring import Job, Sample
    from tidings import Tidings

WARM_UP = 20
LONGEST_START = 300.0
LOOK_EVERY = 0.02
CONNECTIONS = 300
"""PostgreSQL's usual 100 are too few for 100 exchanges, which have one each, and their tracker."""


class Held(NamedTuple):
    """What an idle worker has taken."""

    start: float
    """Seconds until every exchange had sent its first message."""
    threads: int
    files: int
    """Open ones: connections, and what waits for them."""


def run(
    kind: str, counts: Sequence[int], messages: int, rounds: int, folder: Path, *, seconds: float
) -> None:
    """Send ``messages`` in all through each number of exchanges; then let those idle.

    Prints what they take, and the rate in proportion to that of the first number.
    """
    if messages < max(counts):
        raise click.UsageError("--messages must be at least as many as there are exchanges.")
    with servers.started(servers.rabbitmq) as broker, _database(kind, folder) as new_database:
        url = new_database()
        stored.fill(url, WARM_UP + messages // min(counts))
        common: dict[str, Any] = {"database_url": url, "settings": {"url": broker.url}}
        busy: dict[str, Job] = {
            f"{count:,}": partial(carrying, **common, exchanges=count, messages=messages)
            for count in counts
        }
        idle: dict[str, Job] = {
            name: partial(idling, **common, exchanges=count, seconds=seconds, notes=folder / name)
            for name, count in zip(busy, counts, strict=True)
        }
        clean = partial(_clean, broker.url, max(counts))
        title = f"Exchanges: {messages:,} messages of {stored.BODY_BYTES} bytes in all, RabbitMQ, "
        _show_busy(f"{title}{kind}, {rounds} rounds", in_rounds(busy, rounds, clean))
        title = f"Idle exchanges: RabbitMQ, {kind}, {rounds} rounds"
        _show_idle(title, in_rounds(idle, rounds, clean), folder)


@contextmanager
def carrying(
    run: str, *, database_url: str, settings: Mapping[str, Any], exchanges: int, messages: int
) -> Iterator[Callable[[], int]]:
    """Give what sends ``messages`` in all, the same events through each exchange.

    Each is in a thread of its own, as it is in a worker; all are open when the clock starts.
    """
    each = messages // exchanges
    with _configured(run, database_url, settings, exchanges) as tidings, ExitStack() as stack:
        relays = [ExchangeRelay(tidings.route(name)) for name in tidings.configuration.exchanges]
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in relays]

        def in_all(task: Callable[[ExchangeRelay], Any]) -> list[Any]:
            running = [
                thread.submit(task, relay) for thread, relay in zip(threads, relays, strict=True)
            ]
            return [future.result() for future in running]

        in_all(ExchangeRelay.start)
        in_all(lambda relay: stored.relay_on(relay, WARM_UP))
        yield lambda: sum(in_all(lambda relay: stored.relay_on(relay, each)))
        in_all(ExchangeRelay.stop)


@contextmanager
def idling(
    run: str,
    *,
    database_url: str,
    settings: Mapping[str, Any],
    exchanges: int,
    seconds: float,
    notes: Path,
) -> Iterator[Callable[[], int]]:
    """Give what waits while a worker has nothing to send; add to ``notes`` what that holds."""
    newest, before = (stored.position_before_last(database_url, count) for count in (0, 1))
    with _configured(run, database_url, settings, exchanges) as tidings:
        for name in tidings.configuration.exchanges:
            tidings.tracker.replay(name, before)
        worker = tidings.worker([])
        thread = threading.Thread(target=worker.run, daemon=True)
        began = time.monotonic()
        thread.start()
        _await_all(tidings, newest)
        process = psutil.Process()
        held = Held(time.monotonic() - began, process.num_threads(), process.num_fds())
        with notes.open("a") as lines:
            lines.write(json.dumps(held) + "\n")

        def work() -> int:
            time.sleep(seconds)
            return exchanges

        yield work
        worker.stop()
        thread.join()


def _configured(
    run: str, database_url: str, settings: Mapping[str, Any], exchanges: int
) -> Tidings:
    return stored.configured(database_url, _names(run, exchanges), "rabbitmq", settings)


def _names(run: str, exchanges: int) -> list[str]:
    return [f"{run}-{number}" for number in range(exchanges)]


def _await_all(tidings: Tidings, newest: int) -> None:
    """Wait until every configured exchange has had the event ``newest``."""
    deadline = time.monotonic() + LONGEST_START
    ours = set(tidings.configuration.exchanges)
    while ours:
        if time.monotonic() > deadline:
            raise RuntimeError(f"After {LONGEST_START:g} s {len(ours)} exchanges sent nothing yet.")
        time.sleep(LOOK_EVERY)
        ours -= {
            exchange.exchange_name
            for exchange in tidings.tracker.tracked_exchanges()
            if exchange.position.event_id == newest
        }


def _clean(url: str, exchanges: int, run: str) -> None:
    for name in _names(run, exchanges):
        amqp.delete(url, name)


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[Callable[[], str]]:
    if kind == "postgresql":
        settings = [f"max_connections={CONNECTIONS}"]
        with servers.started(partial(PostgreSQL, settings=settings)) as server:
            yield server.new_database
    else:
        with servers.database(kind, folder) as new_database:
            yield new_database


def _show_busy(title: str, samples: Mapping[str, Sequence[Sample]]) -> None:
    first = next(iter(samples))
    rows = [
        (
            name,
            f"{Spread.of(run.rate for run in runs).middle:,.0f}",
            "" if name == first else spread(ratios(runs, samples[first])),
            f"{Spread.of(run.cpu_per_event * 1e6 for run in runs).middle:.1f}",
            f"{max(run.peak_bytes for run in runs) / 2**20:.0f}",
        )
        for name, runs in samples.items()
    ]
    columns = ("exchanges", "messages/s", f"rate / {first}", "CPU µs/message", "peak MB")
    show(title, columns, rows)


def _show_idle(title: str, samples: Mapping[str, Sequence[Sample]], folder: Path) -> None:
    rows = []
    for name, runs in samples.items():
        notes = [Held(*json.loads(line)) for line in (folder / name).read_text().splitlines()]
        share = Spread.of(100 * run.cpu_seconds / run.seconds for run in runs)
        rows.append(
            (
                name,
                f"{Spread.of(held.start for held in notes).middle:.1f}",
                f"{share.middle:.1f}",
                f"{max(held.threads for held in notes)}",
                f"{max(held.files for held in notes)}",
                f"{max(run.peak_bytes for run in runs) / 2**20:.0f}",
            )
        )
    columns = ("exchanges", "s to start", "% of a core", "threads", "open files", "peak MB")
    show(title, columns, rows)
