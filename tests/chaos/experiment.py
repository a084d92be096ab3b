"""One backend under one fault for a number of rounds."""

from __future__ import annotations

import random
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.backends import BACKENDS
from tests.chaos.faults import LOAD
from tests.chaos.oracle import Verdict, judge
from tests.chaos.stage import Stage
from tidings.testing.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.faults import Fault


@dataclass(frozen=True)
class Outcome:
    """What an experiment found."""

    backend: str
    fault: str
    rounds: int
    verdict: Verdict
    longest_stall: float
    """Seconds from the end of a fault until the position moved again, at the most."""
    allowed: int
    """Duplicates that the backend's promise allows."""

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        good = self.verdict.lost == 0 and self.verdict.reordered == 0
        return good and self.verdict.duplicated <= self.allowed and self.longest_stall < 30


def applies(backend: str, fault: Fault) -> bool:
    """Whether the fault has a meaning there: without a broker there is none to kill."""
    return backend != "zeromq" or not fault.needs_broker


def experiment(
    backend_name: str,
    fault: Fault,
    rounds: int,
    *,
    seed: int,
    database_url: str | None = None,
    tell: Callable[[int], None] = lambda _round: None,
) -> Outcome:
    """Play ``fault`` for ``rounds`` rounds, then compare what arrived with what was stored."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidings-chaos-")))
        backend = BACKENDS[backend_name]()
        backend.start()
        stack.callback(backend.stop)
        proxy = TcpProxy("127.0.0.1", backend.port) if fault.needs_proxy else None
        if proxy is not None:
            stack.enter_context(proxy)
        url = database_url or f"sqlite:///{folder}/events.db"
        stage = Stage(folder, backend, url, random.Random(seed), proxy)  # noqa: S311 - no secret
        stage.prepare()
        stack.callback(stage.clear)
        for number in range(rounds):
            tell(number)
            stage.append(LOAD)
            fault.play(stage)
        stage.catch_up()
        arrived = backend.arrived()
        kills = rounds if fault.kills_relay or fault.needs_broker else 0
        return Outcome(
            backend=backend.name,
            fault=fault.name,
            rounds=rounds,
            verdict=judge(range(1, stage.stored + 1), arrived),
            longest_stall=max(stage.stalls),
            allowed=kills * backend.allowed_per_kill,
        )
