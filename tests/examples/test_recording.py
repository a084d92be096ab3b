from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import Project

EXAMPLE = Path(__file__).parents[2] / "examples" / "recording" / "asyncio_orders.py"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_orders_placed_from_asyncio_are_recorded_and_taken_back_with_their_transaction(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path}/events.db"
        asynchronous = url.replace("sqlite:", "sqlite+aiosqlite:")
    else:
        url = asynchronous = request.getfixturevalue("postgresql").new_database()
    project = Project(tmp_path)
    project.configure(f'[event_store]\nurl = "{url}"\n[exchanges.orders]\nproducer = "jsonlines"\n')
    project.succeed("init", "--tables")

    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE, asynchronous, "3"],
        capture_output=True,
        text=True,
        check=False,
    )
    spread = project.succeed("spread")
    lines = spread.out.splitlines()

    assert done.stdout == "not placed: 0 is no price\n", done.stderr
    assert spread.err == "3 notification(s) sent!\n"
    assert '"type_name":"OrderPlaced"' in lines[2]
    assert '"body":{"aggregate_id":"3","total":300}' in lines[2]
