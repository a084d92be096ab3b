"""The relay beside all others, and the tables that come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import servers, stored
from benchmarks.measuring import in_rounds
from benchmarks.tables import show_rates
from benchmarks.wire.backends import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RELAY = "relay"


def run(
    backends: tuple[str, ...], databases: tuple[str, ...], events: int, rounds: int, folder: Path
) -> None:
    """Measure, and print a table for each backend."""
    with servers.databases(databases, folder) as new_database:
        urls = {kind: new() for kind, new in new_database.items()}
        for url in urls.values():
            stored.fill(url, events + stored.WARM_UP)
        for name in backends:
            _compare(name, urls, events, rounds)


def _compare(name: str, urls: Mapping[str, str], events: int, rounds: int) -> None:
    with BACKENDS[name]() as backend:
        relays = {f"{RELAY}, {kind}": backend.relaying(url) for kind, url in urls.items()}
        jobs = {**relays, **backend.contenders(next(iter(urls.values())), events)}
        if rounds > 1:
            in_rounds(jobs, 1, backend.clean)  # the broker's warm-up
        samples = in_rounds(jobs, rounds, backend.clean)
        for relay in relays:
            others = {other: runs for other, runs in samples.items() if other not in relays}
            title = f"{name}: {events:,} events of {stored.BODY_BYTES} bytes, {rounds} rounds"
            show_rates(title, {relay: samples[relay], **others}, relay, backend.absent)
