"""Processes that are started often: forked from one that has everything imported already."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from tidings.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_context = multiprocessing.get_context("forkserver")
# pytest, because a child imports its parent's main module.
_context.set_forkserver_preload(["tests.chaos.preloaded", "pytest"])

_PR_SET_PDEATHSIG = 1


class Process:
    """A process of its own: a relay, or a subscriber."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._process = _context.Process(target=_begin, args=(target, arguments), daemon=True)
        self._process.start()

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def kill(self) -> None:
        """Kill -9, also if it is frozen, and wait until it is gone."""
        self._process.kill()
        self._process.join()

    def freeze(self) -> None:
        """SIGSTOP."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self._pid, signal.SIGCONT)

    def terminate(self) -> tuple[int | None, float]:
        """Send SIGTERM; return the exit code, if it ended within 30 s, and how long it took."""
        begun = time.monotonic()
        self._process.terminate()
        self._process.join(30)
        return self._process.exitcode, time.monotonic() - begun

    @property
    def _pid(self) -> int:
        assert self._process.pid
        return self._process.pid


def run_relay(folder: Path) -> None:
    """Do what `tidings run` does, with the configuration in ``folder``; log into ``folder/log``."""
    os.chdir(folder)
    log_into(folder)
    sys.argv = ["tidings", "--config", "tidings.toml", "run"]
    main()


def log_into(folder: Path) -> None:
    """Append what this process says to ``folder/log``."""
    os.dup2(os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)


def _begin(target: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    if sys.platform == "linux":  # elsewhere a run that is killed leaves it behind
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    target(*arguments)
