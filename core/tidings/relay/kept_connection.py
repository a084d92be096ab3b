"""Keeps a producer's connection alive while its relay waits for the database.

A broker hangs up on a connection that is silent for about two heartbeats, and a read behind
somebody's table lock may take minutes. The same batch would then be read again and again, and
nothing be sent.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

PATIENCE = 0.5
"""Seconds that a call may take before the connection is looked after."""

SLICE = 0.1
"""Seconds for which the connection is looked after at a time; a call that ends waits for it."""

DELAY = 0.4


class KeptConnection:
    """Calls ``wait`` again and again while somebody is inside of ``with`` for long.

    ::

        with KeptConnection(producer_wait) as kept:   # as long as the producer is open
            with kept.during_call():
                events = store.all_stored_events_since(...)

    What ``wait`` raises is raised at the end of the inner ``with``, unless something else is.

    **Threads.** ``wait`` is called by another thread, but only while the one that uses the producer
    is inside. The producer is still used by one thread at a time. An inner ``with`` that ends
    within :data:`PATIENCE` starts no thread and waits for none.
    """

    def __init__(self, wait: Callable[[float], None], exchange_name: str) -> None:
        """Take what looks after the connection for so many seconds."""
        self._wait = wait
        self._exchange_name = exchange_name
        self._in_use = threading.Lock()
        self._outside = threading.Event()
        self._outside.set()
        self._entered = 0.0
        self._attendant: threading.Thread | None = None
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        _watch.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _watch.remove(self)
        if self._attendant is not None:
            self._attendant.join()

    def during_call(self) -> _DuringCall:
        """Return what is entered around a call that may take long."""
        return _DuringCall(self)

    def begin(self) -> None:
        """Note that a call begins."""
        if threading.current_thread() is self._attendant:
            # It holds what `end` waits for: nobody would ever go on.
            raise RuntimeError(
                f"The producer of {self._exchange_name!r} called on_accepted from within wait(); "
                "it is for send() and flush()."
            )
        self._entered = time.monotonic()
        self._outside.clear()

    def end(self) -> Exception | None:
        """Note that the call has ended; return what went wrong with the connection meanwhile."""
        with self._in_use:
            self._outside.set()
            error, self._error = self._error, None
        return error

    def attend_if_late(self) -> None:
        """Look after the connection, in a thread of its own, if a call takes long."""
        late = not self._outside.is_set() and time.monotonic() - self._entered > PATIENCE
        if late and self._error is None and not (self._attendant and self._attendant.is_alive()):
            self._attendant = threading.Thread(
                target=self._attend, name=f"tidings-{self._exchange_name}-waiting", daemon=True
            )
            self._attendant.start()

    def _attend(self) -> None:
        while True:
            with self._in_use:
                if self._outside.is_set():
                    return
                try:
                    self._wait(SLICE)
                except Exception as error:  # noqa: BLE001 - raised by whoever uses the producer
                    self._error = error
                    return
            if self._outside.wait(DELAY):  # `wait` may return early
                return


class _DuringCall:
    """One call; a class, because entering it comes with every batch."""

    __slots__ = ("_kept",)

    def __init__(self, kept: KeptConnection) -> None:
        self._kept = kept

    def __enter__(self) -> None:
        self._kept.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        failed = self._kept.end()
        if failed is not None and error is None:
            raise failed


class _Watch:
    """One thread for all connections of the process, as long as there is one."""

    _lock: threading.Lock

    def __init__(self) -> None:
        self._begin()
        # A child has not this thread, and none of these connections is its own.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._kept: set[KeptConnection] = set()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, kept: KeptConnection) -> None:
        with self._lock:
            self._kept.add(kept)
            if self._thread is None:
                self._over = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=[self._over], name="tidings-connections", daemon=True
                )
                self._thread.start()

    def remove(self, kept: KeptConnection) -> None:
        with self._lock:
            self._kept.discard(kept)
            ended = None
            if not self._kept and self._thread is not None:
                ended, self._thread = self._thread, None
                self._over.set()
        if ended is not None:
            ended.join()

    def _run(self, over: threading.Event) -> None:
        while not over.wait(PATIENCE):
            with self._lock:
                kept = list(self._kept)
            for each in kept:
                each.attend_if_late()


_watch = _Watch()
