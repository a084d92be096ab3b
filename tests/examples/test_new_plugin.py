"""`tidings new-plugin` from the wheel, and then the two commands that it says come next."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.packaging.conftest import Environment


@pytest.mark.packaging
@pytest.mark.timeout(600)
def test_the_commands_that_come_next_work(installed: Environment) -> None:
    said = installed.tidings("new-plugin", "mine")
    folder = installed.folder / "tidings-mine"

    assert "pip install -e 'tidings-mine[test]' && pytest tidings-mine" in said
    assert (folder / ".gitignore").is_file()
    installed.pip_install("-e", f"{folder}[test]")
    tests = subprocess.run(
        [installed.folder / "bin" / "pytest", "-q", "tidings-mine"],
        cwd=installed.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "10 passed" in tests.stdout, tests.stdout
    assert "NotImplementedError: TODO" in tests.stdout
    plugins = json.loads(installed.tidings("plugins", "--json"))["plugins"]
    assert [p["problem"] for p in plugins if p["name"] == "mine"] == [None]
