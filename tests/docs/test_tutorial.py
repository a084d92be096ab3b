"""The tutorial, done as it says."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.command import Project
from tests.docs.pages import ROOT, text_of
from tests.servers import free_port
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

PAGE = text_of(ROOT / "docs" / "tutorial.md")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


SHOP, BILLING = blocks("python")
(CONFIGURATION,) = blocks("toml")
COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


def order(folder: Path, total: str) -> subprocess.CompletedProcess[str]:
    # As it ends, it leaves its connection to SQLite to the process's end; Python 3.14 says so.
    warnings = ["-W", "error", "-W", "ignore:unclosed database:ResourceWarning"]
    command = [sys.executable, *warnings, "shop.py", total]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@contextmanager
def billing(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "billing.py"], cwd=folder, stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def bills(folder: Path) -> list[str]:
    """Return the totals of all bills, in the order in which they were written."""
    if not (folder / "billing.db").exists():
        return []
    with closing(sqlite3.connect(folder / "billing.db")) as database:
        there = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'bills'").fetchone()
        rows = database.execute("SELECT body FROM bills ORDER BY rowid").fetchall() if there else []
    return [json.loads(body)["total"] for (body,) in rows]


def test_the_first_hour_goes_as_shown(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "billing.py").write_text(BILLING)
    project.succeed("init")

    assert order(tmp_path, "9.90").returncode == order(tmp_path, "12.50").returncode == 0
    assert order(tmp_path, "5000").stderr == "Too much: nothing is ordered.\n"
    before = project.status("my-bc-app")
    first = project.succeed("spread")
    again = project.succeed("spread")

    assert before["newest_event_id"] == before["events_behind"] == 2
    assert len(first.lines) == 2
    assert first.err == "2 notification(s) sent!\n"
    assert again.err == "0 notification(s) sent!\n"

    with (tmp_path / "tidings.toml").open("a") as file:
        file.write("\n" + CONFIGURATION.replace("5599", str(free_port())))
    with billing(tmp_path) as subscriber:
        with project.running("run", "orders") as relay:
            eventually(lambda: len(bills(tmp_path)) == 2)
            order(tmp_path, "30.00")
            eventually(lambda: len(bills(tmp_path)) == 3)
            relay.process.send_signal(signal.SIGKILL)
            relay.process.wait()
        order(tmp_path, "40.00")
        order(tmp_path, "50.00")
        with project.running("run", "orders"):
            eventually(lambda: len(bills(tmp_path)) == 5)
            subscriber.kill()
            subscriber.wait()
            order(tmp_path, "60.00")
            with billing(tmp_path):
                eventually(lambda: len(bills(tmp_path)) == 6)
                # A bill is written before the relay hears of it, and tracks it.
                eventually(lambda: project.status("orders")["events_behind"] == 0)

    assert bills(tmp_path) == ["9.90", "12.50", "30.00", "40.00", "50.00", "60.00"]
    assert project.status("my-bc-app")["events_behind"] == 4


def test_the_tutorial_shows_what_the_test_does() -> None:
    commands = [command.partition("  ")[0] for command in COMMANDS]
    totals = [each.split()[-1] for each in commands if each.startswith("python shop.py")]

    assert totals == ["9.90", "12.50", "5000", "30.00", "40.00", "50.00"]
    assert [each for each in commands if each.startswith("tidings ")] == [
        "tidings init",
        "tidings status",
        "tidings spread",
        "tidings run orders",
        "tidings run orders",
    ]
