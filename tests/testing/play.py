"""Plays every planted fault against the suites, and says how many of them they notice.

``make planted`` takes some minutes, and needs redis-server.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tests.testing.mutants import MUTANTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.testing.mutants import Mutant

EXAMPLE = Path(__file__).parents[2] / "examples" / "tidings-redis-store"
AT_ONCE = 2
WANTED = 95
"""Percent."""
SECONDS = 300
PASSED, FAILED = 0, 1


def planted(mutant: Mutant) -> str:
    """Return the file with the fault in it; its text stands there once."""
    text = (EXAMPLE / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.text) == 1, mutant
    return text.replace(mutant.text, mutant.becomes)


def is_noticed(mutant: Mutant | None) -> bool:
    """Return whether a test of the suites fails; without a fault, none does."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / EXAMPLE.name
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        if mutant is not None:
            (folder / mutant.file).write_text(planted(mutant), encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"),
                *("-k", "not TestBesideTheSuites"),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode in (PASSED, FAILED), done.stdout + done.stderr
        return done.returncode == FAILED


def missed(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Return the faults that no test notices."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        noticed = list(pool.map(is_noticed, mutants))
    return [mutant for mutant, is_it in zip(mutants, noticed, strict=True) if not is_it]


def main() -> None:
    """Play all."""
    assert not is_noticed(None), "the example fails without a fault"
    left = missed(MUTANTS)
    for mutant in left:
        print(f"MISSED  {mutant.file}: {mutant.text!r} as {mutant.becomes!r}")  # noqa: T201
    noticed = len(MUTANTS) - len(left)
    share = 100 * noticed / len(MUTANTS)
    print(f"{noticed} of {len(MUTANTS)} planted faults noticed: {share:.0f} %")  # noqa: T201
    sys.exit(share < WANTED)


if __name__ == "__main__":
    main()
