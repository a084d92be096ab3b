"""pika's input and output, driven a step at a time from the calling thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter

if TYPE_CHECKING:
    from pika.adapters.utils.nbio_interface import AbstractStreamTransport


class Loop:
    """Carries any number of connections; whoever waits for one keeps all of them alive."""

    def __init__(self) -> None:
        self._native = IOLoop()
        self._native.activate_poller()

    def services(self) -> Services:
        """Return the loop as one connection is to see it."""
        return Services(self._native)

    def step(self, seconds: float) -> None:
        """Read, write and run timers; wait up to ``seconds`` for something to do."""
        timer = self._native.call_later(max(seconds, 0), _nothing)
        self._native.poll()
        self._native.process_timeouts()
        self._native.remove_timeout(timer)

    def close(self) -> None:
        """Give back the loop's own file descriptors."""
        self._native.close()


class Services(SelectorIOServicesAdapter):  # type: ignore[misc] # pika ships no types
    """pika's services, which keep the stream that they make.

    pika's way of publishing encodes each message anew, and writes to the stream three times for
    each; its interface for streams is public, and takes many encoded messages at once.
    """

    def __init__(self, native_loop: IOLoop) -> None:
        super().__init__(native_loop)
        self.stream: AbstractStreamTransport | None = None

    def create_streaming_connection(
        self, protocol_factory: Any, sock: Any, on_done: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Make the stream as pika does, and remember it."""

        def done(result: Any) -> None:
            if not isinstance(result, BaseException):
                self.stream = result[0]
            on_done(result)

        return super().create_streaming_connection(protocol_factory, sock, done, *args, **kwargs)


def _nothing() -> None:
    """Wake the loop up."""
