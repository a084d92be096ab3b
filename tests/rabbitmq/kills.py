"""Kills a publisher over and over, and judges what is in the queue afterwards."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.process import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).parents[2]


class Verdict(NamedTuple):
    """What an independent reader found."""

    lost: int
    duplicated: int
    reordered: int
    """First deliveries that came after a later event's."""


def judge(ids: list[int]) -> Verdict:
    """Compare the queue's ids with 1, 2, 3, ... to the greatest of them."""
    first_deliveries = list(dict.fromkeys(ids))
    pairs = itertools.pairwise(first_deliveries)
    return Verdict(
        lost=max(ids, default=0) - len(first_deliveries),
        duplicated=len(ids) - len(first_deliveries),
        reordered=sum(after < before for before, after in pairs),
    )


def kill_publishers(
    rounds: int, module: str, settings: Mapping[str, object], exchange: str, position: Path
) -> list[int]:
    """Start a publisher and kill it, `rounds` times; return the ids that each began with."""
    arguments = [json.dumps(settings), exchange, str(position)]
    return [_run_and_kill([sys.executable, "-m", module, *arguments]) for _ in range(rounds)]


def _run_and_kill(command: list[str]) -> int:
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            begun = int(process.stdout.readline())
            # The moment is random on purpose: anything may be under way.
            delay = random.uniform(0.05, 0.4)  # noqa: S311
            wait_for(lambda: process.poll() is not None, "the moment", delay)
        except TimeoutError:
            pass
        finally:
            process.kill()
        assert process.wait() == -9, "the publisher ended by itself"
    return begun
