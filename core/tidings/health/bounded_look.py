"""Looks at what may hang, for those who must not wait."""

from __future__ import annotations

import time
from threading import BoundedSemaphore, Event, Lock, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

from tidings.errors import TidingsError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

FRESH = 1.0
"""Seconds for which a look is as good as a new one: to be asked often costs the database little."""
PATIENCE = 5.0
MOST_WAITING = 4


class NoAnswerError(TidingsError):
    """What was looked for did not come in time."""


class BoundedLook(Generic[T]):
    """Gives what ``look`` returns, or raises what it raises, within :data:`PATIENCE` seconds.

    **Threads.** May be asked from any thread. There is one look at a time, in a thread of its own.
    """

    def __init__(self, look: Callable[[], T], what: str) -> None:
        """Take what may hang; ``what`` names it to people."""
        self._look = look
        self._what = what
        self._lock = Lock()
        self._waiting = BoundedSemaphore(MOST_WAITING)
        self._last: _Look[T] | None = None

    def ask(self) -> T:
        """Look, and return what is found; :class:`NoAnswerError` if that takes too long."""
        if not self._waiting.acquire(blocking=False):
            raise NoAnswerError(f"{MOST_WAITING} others wait for {self._what}. Ask less often.")
        try:
            look = self._begun()
            if not look.done.wait(PATIENCE):
                seconds = time.monotonic() - look.begun
                raise NoAnswerError(f"{self._what} has not answered for {seconds:.0f} s.")
        finally:
            self._waiting.release()
        return look.result()

    def _begun(self) -> _Look[T]:
        with self._lock:
            if self._last is None or self._last.is_old():
                self._last = _Look(self._look)
            return self._last


class _Look(Generic[T]):
    def __init__(self, look: Callable[[], T]) -> None:
        self.done = Event()
        self.begun = time.monotonic()
        self._ended = 0.0
        self._found: T | None = None
        self._error: Exception | None = None
        Thread(target=self._run, args=[look], name="tidings-look", daemon=True).start()

    def is_old(self) -> bool:
        return self.done.is_set() and time.monotonic() - self._ended > FRESH

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._found  # type: ignore[return-value]  # there is one, as there is no error

    def _run(self, look: Callable[[], T]) -> None:
        try:
            self._found = look()
        except Exception as error:  # noqa: BLE001 - whoever asks hears of it
            self._error = error
        self._ended = time.monotonic()
        self.done.set()
