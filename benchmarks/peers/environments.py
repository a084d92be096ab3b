"""A virtual environment for each peer, kept for the next time."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT = Path(__file__).parents[1] / ".venv"
"""Git, ruff, mypy and the build of the package leave out every folder of that name."""


def made(name: str, requirements: Sequence[str], kept: Path) -> Path:
    """Return an environment that holds what is required; install it if ``kept`` has none.

    An environment of other requirements, or of another Python, is another one. Raises
    ``RuntimeError``, with what pip says, if that fails.
    """
    identity = "\n".join((sys.version, *requirements))
    folder = kept / f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    if not folder.exists():
        kept.mkdir(parents=True, exist_ok=True)
        # Under its own name only when it is complete: whatever ends us leaves no half of one.
        with tempfile.TemporaryDirectory(dir=kept, prefix=f"{name}-new-") as new:
            _install(name, requirements, Path(new) / "venv")
            _keep(Path(new) / "venv", folder)
    return folder


def python(folder: Path) -> Path:
    """Return the environment's interpreter."""
    return folder / "bin" / "python"


def version(folder: Path, name: str) -> str:
    """Return which version of a distribution the environment holds."""
    (packages,) = folder.glob("lib/python*/site-packages")
    (found,) = distributions(name=name, path=[str(packages)])
    return found.version


def _install(name: str, requirements: Sequence[str], folder: Path) -> None:
    venv.create(folder, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python(folder))]
    install = ["install", "--quiet", "--disable-pip-version-check", *requirements]
    ended = subprocess.run([*pip, *install], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{name} could not be installed. pip says:\n{ended.stderr.strip()}")


def _keep(new: Path, folder: Path) -> None:
    try:
        new.rename(folder)
    except OSError:
        if not folder.exists():  # else somebody else was as quick, with the same
            raise
        shutil.rmtree(new)
