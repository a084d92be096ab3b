"""pika's input and output, driven a step at a time from the calling thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter

from tidings_rabbitmq.readable import ReadableProtocol

if TYPE_CHECKING:
    from pika.adapters.utils.nbio_interface import AbstractStreamTransport


class Loop:
    """Carries any number of connections; whoever waits for one keeps all of them alive.

    It has file descriptors of its own only while it carries a connection.
    """

    _native: IOLoop

    def __init__(self) -> None:
        self._carried: set[object] = set()

    def carry(self, connection: object) -> None:
        """Get ready to carry one connection more."""
        if not self._carried:
            self._native = IOLoop()
            self._native.activate_poller()
        self._carried.add(connection)

    def let_go(self, connection: object) -> None:
        """Carry a connection no longer; without any, give back the file descriptors."""
        self._carried.remove(connection)
        if not self._carried:
            self._native.close()

    def services(self) -> Services:
        """Return the loop as one connection is to see it."""
        return Services(self._native)

    def step(self, seconds: float) -> None:
        """Read, write and run timers; wait up to ``seconds`` for something to do."""
        timer = self._native.call_later(max(seconds, 0), _nothing)
        self._native.poll()
        self._native.process_timeouts()
        self._native.remove_timeout(timer)


class Services(SelectorIOServicesAdapter):  # type: ignore[misc] # pika ships no types
    """pika's services, which keep the stream that they make, and look at what comes in by it.

    pika's way of publishing encodes each message anew, and writes to the stream three times for
    each. Its interface for streams is public, and takes many encoded messages at once.
    """

    def __init__(self, native_loop: IOLoop) -> None:
        super().__init__(native_loop)
        self.stream: AbstractStreamTransport | None = None

    def create_streaming_connection(
        self, protocol_factory: Any, sock: Any, on_done: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Make the stream as pika does, and remember it."""

        def readable() -> ReadableProtocol:
            return ReadableProtocol(protocol_factory())

        def done(result: Any) -> None:
            if not isinstance(result, BaseException):
                self.stream, protocol = result
                result = self.stream, protocol.protocol
            on_done(result)

        return super().create_streaming_connection(readable, sock, done, *args, **kwargs)


def _nothing() -> None:
    """Wake the loop up."""
