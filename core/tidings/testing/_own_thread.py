"""A thread of its own for what may hang, so that a call that never returns fails one test."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDoneError
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

THREAD_NAME = "tidings.testing caller"


class HungError(Exception):
    """A call has not returned in time; its thread is given up."""


class OwnThread:
    """Runs one call after another on the same thread, and waits for each only so long."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def run(self, seconds: float, call: Callable[[], Result]) -> Result:
        """Return what ``call`` returns or raises; ``HungError`` after ``seconds``."""
        future: Future[Result] = Future()

        def job() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
                future.set_exception(error)

        self._jobs.put(job)
        try:
            return future.result(seconds)
        except NotDoneError:
            if future.done():
                raise
            raise HungError from None

    def end(self) -> None:
        """Let the thread end when its last call has returned."""
        self._jobs.put(None)
        self._thread.join(timeout=1)

    def _work(self) -> None:
        while job := self._jobs.get():
            job()
