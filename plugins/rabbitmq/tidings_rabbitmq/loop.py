"""pika's input and output, driven a step at a time from the calling thread."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from pika.adapters.utils.nbio_interface import AbstractIOReference
from pika.adapters.utils.selector_ioloop_adapter import SelectorIOServicesAdapter
from typing_extensions import override

from tidings_rabbitmq.pika_loop import NativeLoop
from tidings_rabbitmq.readable import ReadableProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.adapters.utils.nbio_interface import AbstractStreamTransport


class Loop:
    """Carries any number of connections; whoever waits for one keeps all of them alive."""

    def __init__(self) -> None:
        self._native = NativeLoop()
        self._carried: set[object] = set()

    def carry(self, connection: object) -> None:
        """Get ready to carry one connection more."""
        self._carried.add(connection)

    def let_go(self, connection: object) -> None:
        """Carry a connection no longer; without any, forget what was to be done for them."""
        self._carried.remove(connection)
        if not self._carried:
            self._native.close()

    def services(self) -> Services:
        """Return the loop as one connection is to see it."""
        return Services(self._native)

    def step(self, seconds: float) -> None:
        """Read, write and run timers; wait up to ``seconds`` for something to do."""
        self._native.step(seconds)


class Services(SelectorIOServicesAdapter):  # type: ignore[misc] # pika ships no types
    """pika's services, which keep the stream that they make, and look at what comes in by it.

    pika's way of publishing encodes each message anew, and writes to the stream three times for
    each. Its interface for streams is public, and takes many encoded messages at once.
    """

    def __init__(self, native_loop: NativeLoop) -> None:
        super().__init__(native_loop)
        self.stream: AbstractStreamTransport | None = None

    @override
    def getaddrinfo(
        self,
        host: str,
        port: int,
        on_done: Callable[[Any], None],
        family: int = 0,
        socktype: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> AbstractIOReference:
        """Read the numeric address that we connect to: the name was looked up before.

        pika would do it in a thread, which would have to wake the loop up.
        """
        flags |= socket.AI_NUMERICHOST
        found = socket.getaddrinfo(host, port, family, socktype, proto, flags)
        return _Answer(self._loop, partial(on_done, found))

    @override
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


class _Answer(AbstractIOReference):  # type: ignore[misc] # pika ships no types
    """An answer that is there, and given at the next step, as pika expects it."""

    def __init__(self, loop: NativeLoop, give: Callable[[], None]) -> None:
        self._give: Callable[[], None] | None = give
        loop.add_callback(self._deliver)

    @override
    def cancel(self) -> bool:
        was_pending, self._give = self._give is not None, None
        return was_pending

    def _deliver(self) -> None:
        give, self._give = self._give, None
        if give is not None:
            give()
