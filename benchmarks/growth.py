"""Whether a long backlog costs more an event than a short one, in time or in memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks import servers, stored
from benchmarks.measuring import Spread, in_rounds
from benchmarks.tables import show, spread
from benchmarks.wire import amqp

if TYPE_CHECKING:
    from pathlib import Path

TIMES = 10
KEPT = 10_000


def run(kinds: tuple[str, ...], events: int, rounds: int, folder: Path) -> None:
    """Drain ``events`` and ten times as many to RabbitMQ; print how they compare.

    Its queue keeps the newest few only, so that it costs the broker the same however many pass.
    """
    limit = {"x-max-length": KEPT, "x-overflow": "drop-head"}
    rows = []
    with servers.started(servers.rabbitmq) as broker, servers.databases(kinds, folder) as new:
        settings = {"url": broker.url, "queue_arguments": limit}
        for kind, new_database in new.items():
            sizes = (events, events * TIMES)
            jobs = {}
            for size in sizes:
                url = new_database()
                stored.fill(url, size)
                jobs[f"{size:,}"] = partial(
                    stored.relaying, database_url=url, producer="rabbitmq", settings=settings
                )
            short, long = in_rounds(jobs, rounds, partial(amqp.delete, broker.url)).values()
            pairs = list(zip(short, long, strict=True))
            rows.append(
                (
                    f"{kind}, {sizes[1]:,} / {sizes[0]:,}",
                    spread(Spread.of(b.rate / a.rate for a, b in pairs)),
                    spread(Spread.of(b.cpu_per_event / a.cpu_per_event for a, b in pairs)),
                    spread(Spread.of(b.peak_bytes / a.peak_bytes for a, b in pairs)),
                    f"{max(b.peak_bytes for _, b in pairs) / 2**20:.0f}",
                )
            )
    columns = ("", "rate", "CPU an event", "peak memory", "peak MB")
    show(f"Growth: events stored, RabbitMQ, {rounds} rounds", columns, rows)
