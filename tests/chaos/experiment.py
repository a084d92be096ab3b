"""One backend under one disturbance for a number of rounds."""

from __future__ import annotations

import random
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.backends import BACKENDS
from tests.chaos.oracle import Verdict, judge
from tests.chaos.stage import Stage
from tests.servers import new_directory
from tidings.testing.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.disturbances import Disturbance

LONGEST_STALL = 30


@dataclass(frozen=True)
class Outcome:
    """What an experiment found."""

    backend: str
    disturbance: str
    rounds: int
    verdict: Verdict
    longest_stall: float
    """Seconds from the end of a disturbance until the relay worked again, at the most."""
    allowed: int
    """Duplicates that the backend's promise allows in one round."""
    allowed_reordered: int
    """First deliveries out of order that it allows in one round."""

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        verdict = self.verdict
        return (
            verdict.lost == 0
            and verdict.unknown == 0
            and verdict.reordered <= self.allowed_reordered * self.rounds
            and verdict.duplicated <= self.allowed * self.rounds
            and self.longest_stall < LONGEST_STALL
        )


def experiment(
    backend_name: str,
    disturbance: Disturbance,
    rounds: int,
    *,
    seed: int,
    tell: Callable[[int], None] = lambda _round: None,
) -> Outcome:
    """Play ``disturbance`` round after round, then compare what arrived with what was stored."""
    with ExitStack() as stack:
        folder = new_directory()
        stack.callback(shutil.rmtree, folder)
        backend = BACKENDS[backend_name](folder, **disturbance.options)
        proxy = (
            stack.enter_context(TcpProxy("127.0.0.1", backend.port)) if disturbance.proxy else None
        )
        stack.callback(backend.stop)
        backend.start(proxy.address[1] if proxy else None)
        database = disturbance.database(folder)
        database.start()
        stack.callback(database.stop)
        stage = Stage(folder, backend, database, random.Random(seed), proxy)  # noqa: S311 - no secret
        stage.prepare()
        stack.callback(stage.clear)
        for number in range(rounds):
            tell(number)
            stage.load()
            disturbance.play(stage)
        arrived = backend.arrived(stage.finish())
        return Outcome(
            backend=backend.name,
            disturbance=disturbance.name,
            rounds=rounds,
            verdict=judge(database.stored_ids(), arrived),
            longest_stall=max(stage.stalls),
            allowed=disturbance.republished(backend),
            allowed_reordered=disturbance.reordered,
        )
