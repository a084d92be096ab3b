"""An environment with tidings and the example plugin, both installed from wheels."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.packaging.conftest import ROOT, Environment
from tests.packaging.conftest import wheel as wheel  # noqa: PLC0414 - a fixture, offered here too

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = ROOT / "examples" / "tidings-redis"


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Give a fresh virtual environment with tidings and tidings-redis in it."""
    folder = tmp_path_factory.mktemp("tidings-redis")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, folder / "source"],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, capture_output=True)
    environment = Environment(folder / "venv")
    environment.pip_install(str(wheel), f"tidings-redis[test] @ {built.as_uri()}")
    return environment
