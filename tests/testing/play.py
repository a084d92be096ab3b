"""Plays every planted fault against the suites, and says how many of them they notice.

``make planted`` takes about an hour, and needs redis-server.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.testing import mutants_of_the_consumer, mutants_of_the_producer, mutants_of_the_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.testing.mutants import Mutant

EXAMPLES = Path(__file__).parents[2] / "examples"
AT_ONCE = 2
WANTED = 95
"""Percent."""
SECONDS = 900
PASSED, FAILED = 0, 1


class Planted(NamedTuple):
    """Faults in one part of an example, and which of its tests are the suites'."""

    example: str
    suites: tuple[str, ...]
    mutants: Sequence[Mutant]

    harmless: Sequence[Mutant] = ()
    """Changes that break no promise, each with the reason; they are neither played nor counted."""


PARTS = {
    "producer": Planted(
        "tidings-redis",
        ("tests/test_contract.py", "-k", "TestRedisProducer"),
        mutants_of_the_producer.MUTANTS,
        mutants_of_the_producer.HARMLESS,
    ),
    "consumer": Planted(
        "tidings-redis",
        ("tests/test_contract.py", "-k", "TestRedisConsumer"),
        mutants_of_the_consumer.MUTANTS,
        mutants_of_the_consumer.HARMLESS,
    ),
    "event store and tracker": Planted(
        "tidings-redis-store", ("-k", "not TestBesideTheSuites"), mutants_of_the_store.MUTANTS
    ),
}


def with_fault(part: Planted, mutant: Mutant) -> str:
    """Return the file with the fault in it; its text stands there once."""
    text = (EXAMPLES / part.example / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.text) == 1, mutant
    return text.replace(mutant.text, mutant.becomes)


def is_noticed(part: Planted, mutant: Mutant | None) -> bool:
    """Return whether a test of the suites fails; without a fault, none does."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / part.example
        unwanted = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(EXAMPLES / part.example, folder, ignore=unwanted)
        if mutant is not None:
            (folder / mutant.file).write_text(with_fault(part, mutant), encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"),
                *part.suites,
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


def missed(part: Planted) -> list[Mutant]:
    """Return the faults that no test notices."""
    assert not is_noticed(part, None), f"{part.example} fails without a fault"
    with ThreadPoolExecutor(AT_ONCE) as pool:
        noticed = list(pool.map(lambda mutant: is_noticed(part, mutant), part.mutants))
    return [mutant for mutant, is_it in zip(part.mutants, noticed, strict=True) if not is_it]


def main() -> None:
    """Play all."""
    shares = []
    for name, part in PARTS.items():
        left = missed(part)
        for mutant in left:
            print(f"MISSED  {mutant.file}: {mutant.text!r} as {mutant.becomes!r}")  # noqa: T201
        every = len(part.mutants)
        shares.append(100 * (every - len(left)) / every)
        print(f"{name}: {every - len(left)} of {every} planted faults noticed: {shares[-1]:.0f} %")  # noqa: T201
    sys.exit(min(shares) < WANTED)


if __name__ == "__main__":
    main()
