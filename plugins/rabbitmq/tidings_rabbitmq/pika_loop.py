"""What pika's input and output wait with: no file descriptor of its own, and no thread.

pika's own loop opens three beside each connection: for epoll, and a pair of sockets by which other
threads wake it up. A relay with a hundred exchanges has a hundred loops, and each is used by one
thread at a time.
"""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections import deque
from typing import TYPE_CHECKING

from pika.adapters.utils.selector_ioloop_adapter import AbstractSelectorIOLoop
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_POLL = 3600.0


class Timer:
    """What is to be called at a time, unless it is cancelled."""

    __slots__ = ("call", "due", "number")

    _numbers = itertools.count()

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due = due
        self.call: Callable[[], None] | None = call
        self.number = next(self._numbers)

    def __lt__(self, other: Timer) -> bool:
        return (self.due, self.number) < (other.due, other.number)


class NativeLoop(AbstractSelectorIOLoop):  # type: ignore[misc] # pika ships no types
    """Watches sockets, and keeps timers, for whoever calls :meth:`step`.

    **Threads.** Used by one thread at a time; none can wake it up.
    """

    READ = select.POLLIN
    WRITE = select.POLLOUT
    ERROR = select.POLLERR

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, tuple[Callable[[int, int], None], int]] = {}
        self._timers: list[Timer] = []
        self._callbacks: deque[Callable[[], None]] = deque()

    def step(self, seconds: float) -> None:
        """Wait up to ``seconds`` for something to do, and do it."""
        self._call_what_is_due()  # what it writes goes out in this very step
        for fd, events in self._poll.poll(1000 * self._patience(seconds)):
            self._dispatch(fd, events)
        # What these add waits for the next step, so that none keeps the sockets waiting.
        for _ in range(len(self._callbacks)):
            self._callbacks.popleft()()
        self._call_what_is_due()

    def _call_what_is_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0].due <= now:
            call = heapq.heappop(self._timers).call
            if call is not None:
                call()

    def _patience(self, seconds: float) -> float:
        if self._callbacks:
            return 0.0
        while self._timers and self._timers[0].call is None:
            heapq.heappop(self._timers)
        if self._timers:
            seconds = min(seconds, self._timers[0].due - time.monotonic())
        return min(max(seconds, 0.0), LONGEST_POLL)

    def _dispatch(self, fd: int, events: int) -> None:
        found = self._handlers.get(fd)
        if found is None:
            return  # an earlier one of this step has closed it
        handler, wanted = found
        if not events & wanted:
            # It hung up, or failed, and nobody asked for that: who reads, or writes, finds out.
            events = wanted
        handler(fd, events & wanted)

    @override
    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(time.monotonic() + delay, callback)
        heapq.heappush(self._timers, timer)
        return timer

    @override
    def remove_timeout(self, timeout_handle: Timer) -> None:
        timeout_handle.call = None

    @override
    def add_callback(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    @override
    def add_handler(self, fd: int, handler: Callable[[int, int], None], events: int) -> None:
        self._handlers[fd] = handler, events
        self._poll.register(fd, events)

    @override
    def update_handler(self, fd: int, events: int) -> None:
        self._handlers[fd] = self._handlers[fd][0], events
        self._poll.modify(fd, events)

    @override
    def remove_handler(self, fd: int) -> None:
        del self._handlers[fd]
        self._poll.unregister(fd)

    @override
    def start(self) -> None:
        raise NotImplementedError("who uses it calls step()")

    @override
    def stop(self) -> None:
        """Do nothing: it works only while somebody calls :meth:`step`."""

    @override
    def close(self) -> None:
        self._timers.clear()
        self._callbacks.clear()
        self._handlers.clear()
