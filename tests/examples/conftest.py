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
STORE_EXAMPLE = ROOT / "examples" / "tidings-redis-store"
EXAMPLES = (EXAMPLE, STORE_EXAMPLE)


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Give a fresh virtual environment with tidings and both examples in it.

    Their sources lie beside it, each in a folder of its distribution's name.
    """
    folder = tmp_path_factory.mktemp("examples")
    built = []
    for example in EXAMPLES:
        source = folder / example.name
        shutil.copytree(example, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--outdir", source / "dist", source],
            check=True,
            capture_output=True,
        )
        (wheel_of_it,) = (source / "dist").glob("*.whl")
        built.append(f"{example.name}[test] @ {wheel_of_it.as_uri()}")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, capture_output=True)
    environment = Environment(folder / "venv")
    environment.pip_install(str(wheel), *built)
    return environment
