"""Whole processes: what it takes to import tidings, and to run its commands."""

from __future__ import annotations

import resource
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import servers, stored
from benchmarks.measuring import Spread
from benchmarks.tables import show

if TYPE_CHECKING:
    from collections.abc import Sequence

EVENTS = 1000
CONFIGURATION = """\
[event_store]
url = "{url}"

[exchanges.benchmark]
producer = "jsonlines"

[producers.jsonlines]
path = "out.jsonl"
"""
NOTHING = "python -c pass"


def run(kinds: tuple[str, ...], rounds: int, folder: Path) -> None:
    """Measure, and print a table for each database."""
    with servers.databases(kinds, folder) as new_database:
        for kind, new in new_database.items():
            url = new()
            stored.fill(url, EVENTS)
            (folder / "tidings.toml").write_text(CONFIGURATION.format(url=_plain(url)))
            _compare(f"Whole processes, {kind}, {rounds} rounds", rounds, folder)


def _compare(title: str, rounds: int, folder: Path) -> None:
    tidings = str(Path(sysconfig.get_path("scripts")) / "tidings")
    commands = {
        NOTHING: [sys.executable, "-c", "pass"],
        "import tidings": [sys.executable, "-c", "import tidings"],
        "from tidings import record": [sys.executable, "-c", "from tidings import record"],
        "tidings --version": [tidings, "--version"],
        "tidings --help": [tidings, "--help"],
        "tidings status": [tidings, "status"],
        "tidings status --json": [tidings, "status", "--json"],
        "tidings spread, nothing to send": [tidings, "spread"],
    }
    for command in commands.values():
        _took(command, folder)  # compiled, cached, and all events sent
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            took[name].append(_took(command, folder))
    nothing = Spread.of(seconds for seconds, _ in took[NOTHING]).middle
    rows = []
    for name, runs in took.items():
        wall = Spread.of(seconds * 1000 for seconds, _ in runs)
        cpu = Spread.of(used * 1000 for _, used in runs)
        more = wall.middle - nothing * 1000
        rows.append(
            (
                name,
                f"{wall.middle:.0f}",
                f"{wall.least:.0f}-{wall.most:.0f}",
                f"{cpu.middle:.0f}",
                f"{cpu.least:.0f}",
                f"{more:+.0f}",
            )
        )
    show(title, ("", "ms", "from-to", "CPU ms", "least CPU ms", "beyond Python itself, ms"), rows)


def _took(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Run a command; return its seconds, and its seconds of CPU."""
    cpu, began = _children(), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began, _children() - cpu


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _plain(url: str) -> str:
    """Write a URL as a configuration has it, without SQLAlchemy's driver."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"
