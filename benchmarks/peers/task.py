"""What the script of a peer is told and what it answers; in its environment there is no tidings."""

from __future__ import annotations

import json
import os
import time
from typing import NamedTuple

from benchmarks.measuring import Sample, cpu_seconds, peak_bytes

VARIABLE = "TIDINGS_BENCHMARK_TASK"


class Task(NamedTuple):
    """Which events a peer stores and carries, and where."""

    database_url: str
    """Of an empty PostgreSQL database, for a client that no part of the URL names."""
    broker_url: str
    destination: str
    """RabbitMQ's exchange, or ActiveMQ's destination; a durable queue takes all that comes."""
    events: int
    warm_up: int
    """Events that are carried before the clock starts."""
    body_bytes: int

    @classmethod
    def given(cls) -> Task:
        """Return what :meth:`environment` says."""
        return cls(**json.loads(os.environ[VARIABLE]))

    def environment(self) -> dict[str, str]:
        """Return the variables that tell a peer's script; the URLs may hold passwords."""
        return {VARIABLE: json.dumps(self._asdict())}

    def text(self, around: int) -> str:
        """Return what fills a body, of which ``around`` bytes stand round the text."""
        return "x" * (self.body_bytes - around)


class Stopwatch:
    """Runs from the moment it is made."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), cpu_seconds()

    def report(self, events: int) -> None:
        """Print what it took until now, as :func:`benchmarks.measuring.foreign` reads it."""
        took, used = time.perf_counter() - self._began, cpu_seconds() - self._cpu
        print(json.dumps(Sample(events, took, used, peak_bytes())._asdict()))
