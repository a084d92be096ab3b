"""The source distribution and the wheel, of what git knows and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class ReleaseError(Exception):
    """Something is not fit to be released; the text says what."""


class Built(NamedTuple):
    """What is uploaded."""

    sdist: Path
    wheel: Path


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command to its end; return what it printed, or raise with what it said."""
    done = subprocess.run(  # noqa: S603 - of our own words and paths
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()
        raise ReleaseError(f"{' '.join(str(part) for part in command)}:\n{said}")
    return done.stdout


def known_files(root: Path) -> list[str]:
    """Return the files that git knows, or would take if they were added."""
    listed = run("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return sorted(name for name in listed.split("\0") if name and (root / name).is_file())


def copy_known_files(root: Path, copy: Path) -> None:
    """Copy what git knows, and nothing else."""
    for name in known_files(root):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, copy / name)


def build(source: Path, out: Path) -> Built:
    """Build the source distribution from that folder, and the wheel from the distribution."""
    run(sys.executable, "-m", "build", "--outdir", out, source)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return Built(sdist, wheel)
