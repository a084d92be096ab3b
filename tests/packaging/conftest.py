"""The wheel, and fresh virtual environments to install it into."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scripts.release.building import build, copy_known_files

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """A virtual environment with nothing in it but what a user has installed."""

    folder: Path

    def pip_install(self, *what: str) -> None:
        """Install as a user does, but with the pip of the tests: that saves seconds."""
        quick = ["--quiet", "--disable-pip-version-check", "--no-compile"]
        pip = [sys.executable, "-m", "pip", "--python", str(self.folder / "bin" / "python")]
        done = subprocess.run(
            [*pip, "install", *quick, *what], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def installed(self) -> set[str]:
        """Return the names of the distributions that are installed."""
        code = "import importlib.metadata as m; print(*{d.name for d in m.distributions()})"
        return set(self.python("-c", code).lower().split())

    def python(self, *arguments: str) -> str:
        return self._run("python", *arguments)

    def tidings(self, *arguments: str, stdin: str = "") -> str:
        return self._run("tidings", *arguments, stdin=stdin)

    def fails(self, *arguments: str) -> str:
        """Run a `tidings` that must fail; return what it says."""
        done = self._done("tidings", *arguments, stdin="")
        assert done.returncode != 0, done.stdout
        return done.stderr

    def _run(self, program: str, *arguments: str, stdin: str = "") -> str:
        done = self._done(program, *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _done(self, program: str, *arguments: str, stdin: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TIDINGS_", "PYTHON"))}
        return subprocess.run(
            [self.folder / "bin" / program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=kept,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a release does."""
    folder = tmp_path_factory.mktemp("built")
    copy_known_files(ROOT, folder / "source")
    return build(folder / "source", folder / "dist").wheel


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[..., Environment]:
    """Give a function that makes a virtual environment, of another Python if one is named."""

    def make(python: str = sys.executable) -> Environment:
        folder = tmp_path / "venv"
        subprocess.run(
            [python, "-m", "venv", "--without-pip", folder], check=True, capture_output=True
        )
        return Environment(folder)

    return make
