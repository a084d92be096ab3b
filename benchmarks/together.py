"""Many exchanges in one process, busy and idle.

Apart from what starts servers, whose imports would count as the relay's memory.
"""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import stored
from tidings.relay.owner import Owner
from tidings.relay.run import Run, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tidings import Tidings

WARM_UP = 20
LONGEST_START = 300.0
LOOK_EVERY = 0.02


class Footprint(NamedTuple):
    """What an idle worker has taken."""

    start: float
    """Seconds until every exchange had sent its first message."""
    threads: int
    files: int
    """Open ones: connections, and what waits for them."""
    database_connections: int
    """0 for SQLite, which has files instead."""


@contextmanager
def carrying(
    run: str, *, database_url: str, settings: Mapping[str, Any], exchanges: int, messages: int
) -> Iterator[Callable[[], int]]:
    """Give what sends ``messages`` in all, the same events through each exchange.

    Each is in a thread of its own, as it is in a worker; all are open when the clock starts.
    """
    each = messages // exchanges
    with _configured(run, database_url, settings, exchanges) as tidings, ExitStack() as stack:
        owner = Owner()
        runs = [
            stack.enter_context(running(tidings.route(name), owner))
            for name in tidings.configuration.exchanges
        ]
        threads = [stack.enter_context(ThreadPoolExecutor(1)) for _ in runs]

        def in_all(task: Callable[[Run], Any]) -> list[Any]:
            tasks = [thread.submit(task, run) for thread, run in zip(threads, runs, strict=True)]
            return [future.result() for future in tasks]

        in_all(lambda run: stored.relay_on(run, WARM_UP))
        yield lambda: sum(in_all(lambda run: stored.relay_on(run, each)))


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
        took = time.monotonic() - began
        while not any(each.name == "tidings-reader" for each in threading.enumerate()):
            time.sleep(0.01)  # it begins when the first exchange is idle
        files = sum(1 for _ in Path("/dev/fd").iterdir())
        connections = stored.connections(database_url)
        footprint = Footprint(took, threading.active_count(), files, connections)
        with notes.open("a") as lines:
            lines.write(json.dumps(footprint) + "\n")

        def work() -> int:
            time.sleep(seconds)
            return exchanges

        yield work
        worker.shut_down()
        thread.join()


def _configured(
    run: str, database_url: str, settings: Mapping[str, Any], exchanges: int
) -> Tidings:
    return stored.configured(database_url, names(run, exchanges), "rabbitmq", settings)


def names(run: str, exchanges: int) -> list[str]:
    """Return the names of a run's exchanges."""
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
