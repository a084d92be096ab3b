"""Waiting for a condition, and doing work beside the test."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Return when the condition holds; fail when it doesn't within the time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        threading.Event().wait(0.005)


class Beside(threading.Thread):
    """Runs a function beside the test; `result` waits for it, and raises what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised again by result()
            self._error = error

    def result(self, seconds: float = 60.0) -> None:
        self.join(seconds)
        assert not self.is_alive(), f"still at work after {seconds} s"
        if self._error is not None:
            raise self._error
