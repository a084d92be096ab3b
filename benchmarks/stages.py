"""Where the relay's CPU goes: reading, serializing, its own loop, and each backend's producer."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from benchmarks import servers, stored
from benchmarks.measuring import in_rounds
from benchmarks.tables import show
from benchmarks.wire.backends import BACKENDS
from tidings.interfaces import MessageProducer, OpenExchange
from tidings.relay.owner import Owner
from tidings.relay.run import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.measuring import Job, Sample
    from tidings.interfaces import ExchangeContext, Notification

EXCHANGE = "benchmark"


def run(kind: str, backends: tuple[str, ...], events: int, rounds: int, folder: Path) -> None:
    """Measure, and print a table: the least CPU of several runs, which neighbours disturb least."""
    with servers.databases((kind,), folder) as new_database, ExitStack() as running:
        url = new_database[kind]()
        stored.fill(url, events + stored.WARM_UP)
        ours: dict[str, Job] = {
            "reading": partial(_reading, database_url=url),
            "serializing": partial(_serializing, database_url=url),
            "loop": partial(_to_nobody, database_url=url),
        }
        theirs = {}
        for name in backends:
            backend = running.enter_context(BACKENDS[name]())
            theirs[name] = in_rounds({name: backend.relaying(url)}, rounds, backend.clean)[name]
        least = {name: _least(runs) for name, runs in in_rounds(ours, rounds).items()}
        alone = least["loop"]
        rows = [
            (f"reading from {kind}", least["reading"]),
            ("checking and serializing", least["serializing"]),
            (
                "the relay's loop, the lease, tracking",
                alone - least["reading"] - least["serializing"],
            ),
            ("all of it, without a producer", alone),
        ]
        for name, runs in theirs.items():
            rows.append(
                (f"{name}: encoding, sending, hearing what is accepted", _least(runs) - alone)
            )
            rows.append((f"{name}: all of it", _least(runs)))
    title = f"CPU of the relay: {events:,} events of {stored.BODY_BYTES} bytes, {rounds} rounds"
    show(title, ("", "CPU µs/event"), [(name, f"{value:.1f}") for name, value in rows])


def _least(runs: list[Sample]) -> float:
    return min(run.cpu_per_event for run in runs) * 1e6


class ToNobody(MessageProducer):
    """Accepts everything at once."""

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        """Connect to nothing."""
        return _OpenNothing()


class _OpenNothing(OpenExchange):
    """Has accepted what it was given last."""

    def __init__(self) -> None:
        self._accepted: int | None = None

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        """Accept."""
        for notification in notifications:
            self._accepted = notification.event_id

    @override
    def flush(self, timeout: float | None = None) -> None:
        """Wait for nothing."""

    @override
    def accepted_id(self) -> int | None:
        """Return the last id."""
        return self._accepted

    @override
    def close(self) -> None:
        """Let go of nothing."""


@contextmanager
def _to_nobody(exchange_name: str, *, database_url: str) -> Iterator[Callable[[], int]]:
    with stored.configured(database_url, [exchange_name]) as tidings:
        route = replace(tidings.route(exchange_name), producer=ToNobody())
        with running(route, Owner()) as run:
            stored.relay_on(run, stored.WARM_UP)
            yield partial(stored.relay_on, run, 10**12)


@contextmanager
def _reading(_run: str, *, database_url: str) -> Iterator[Callable[[], int]]:
    with stored.configured(database_url, [EXCHANGE]) as tidings:
        store = tidings.event_store()
        batch = tidings.configuration.exchange(EXCHANGE).batch_size

        def read() -> int:
            count = position = 0
            while events := store.all_stored_events_since(position, batch):
                count, position = count + len(events), events[-1].event_id
            return count

        read()
        yield read
        store.close()


@contextmanager
def _serializing(_run: str, *, database_url: str) -> Iterator[Callable[[], int]]:
    with stored.configured(database_url, [EXCHANGE]) as tidings:
        store, serializer = tidings.event_store(), tidings.serializer(EXCHANGE)
        events = store.all_stored_events_since(0, 10_000)
        store.close()

        def serialize() -> int:
            for event in events:
                serializer.serialize(event)
            return len(events)

        yield serialize
