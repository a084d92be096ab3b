"""Kills a publisher over and over, and judges what is in the queue afterwards."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.servers import RabbitMQ

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
    command = _command(module, settings, exchange, position)

    def kill(process: subprocess.Popen[str]) -> None:
        process.kill()
        assert process.wait() == -9, "the publisher ended by itself"

    return [_run_and_end(command, kill) for _ in range(rounds)]


def kill_brokers(
    rounds: int,
    module: str,
    settings: Mapping[str, object],
    exchange: str,
    position: Path,
    *,
    broker: RabbitMQ,
) -> None:
    """Kill the broker under a publisher, `rounds` times; it runs again at the end."""
    command = _command(module, settings, exchange, position)

    def kill(process: subprocess.Popen[str]) -> None:
        broker.kill()
        broker.start()
        assert process.wait() == 1, "the publisher has not noticed that its broker died"

    for _ in range(rounds):
        _run_and_end(command, kill)


def _command(
    module: str, settings: Mapping[str, object], exchange: str, position: Path
) -> list[str]:
    return [sys.executable, "-m", module, json.dumps(settings), exchange, str(position)]


def _run_and_end(command: list[str], end: Callable[[subprocess.Popen[str]], None]) -> int:
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            begun = int(process.stdout.readline())
            # The moment is random on purpose: anything may be in flight.
            delay = random.uniform(0.05, 0.4)  # noqa: S311
            eventually(lambda: process.poll() is not None, "the moment", delay)
        except TimeoutError:
            end(process)
            return begun
        finally:
            process.kill()
    raise AssertionError("the publisher ended by itself")
