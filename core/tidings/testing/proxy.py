"""A TCP proxy that does to a connection what networks do: cut, freeze, delay and refuse it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

CHUNK = 65536


class Link(Protocol):
    """The way to a server, as the contract suites break and mend it."""

    @property
    def address(self) -> tuple[str, int]:
        """The host and port to connect to instead of the server's own."""

    @property
    def connections(self) -> int:
        """How many connections are open just now."""

    @property
    def opened(self) -> int:
        """How many connections were opened in all."""

    def freeze(self) -> None:
        """Carry nothing in either direction; connections stay open."""

    def thaw(self) -> None:
        """Carry on, with what waits."""

    def cut(self) -> None:
        """Break every open connection; what was not carried yet is lost."""

    def refuse(self) -> None:
        """Refuse new connections."""

    def admit(self) -> None:
        """Take new connections again."""


class TcpProxy:
    """Listens on a port of its own and carries everything to ``host:port`` and back.

    ::

        with TcpProxy("127.0.0.1", 5672) as proxy:
            producer = connect_to(*proxy.address)
            proxy.freeze()      # half open: nobody answers, nothing is lost yet
            proxy.thaw()
            proxy.delay(0.05)   # every chunk waits that long, in each direction
            proxy.cut()         # reset; what was not yet carried is lost
            proxy.refuse()      # nobody gets in ...
            proxy.admit()       # ... until now

    :meth:`freeze` and :meth:`cut` hold from the moment they return: nothing that a client wrote
    but the proxy had not read reaches the server any more.

    **Threads.** Every method may be called from any thread.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._delay = 0.0
        self._closed = False
        self._opened = 0
        self._listener: socket.socket | None = None
        # Bound while the proxy lives, and never listening: while it refuses, no connection of
        # anybody else is given its port.
        self._place = _bound(0)
        self._port = self._place.getsockname()[1]
        self._listen()

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that clients connect to; the same while the proxy lives."""
        return ("127.0.0.1", self._port)

    @property
    def connections(self) -> int:
        """How many connections are open just now."""
        with self._lock:
            return len(self._pairs)

    @property
    def opened(self) -> int:
        """How many connections were opened in all."""
        with self._lock:
            return self._opened

    def freeze(self) -> None:
        """Carry nothing; connections stay open, new ones are taken and hear nothing."""
        self._flowing.clear()
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.settle()

    def thaw(self) -> None:
        """Carry on, with what waits."""
        self._flowing.set()

    def delay(self, seconds: float) -> None:
        """Let every chunk wait ``seconds`` in each direction from now on; 0 for none."""
        self._delay = seconds

    def cut(self) -> None:
        """Reset every open connection on both sides; new ones are taken at once."""
        with self._lock:
            pairs, self._pairs = list(self._pairs), set()
        for pair in pairs:
            pair.settle()
            pair.reset()

    def refuse(self) -> None:
        """Stop listening: new connections are refused; open ones stay."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            _shut(listener, socket.SHUT_RDWR)

    def admit(self) -> None:
        """Listen again, on the same port."""
        with self._lock:
            listening = self._listener is not None
        if not listening:
            self._listen()

    def close(self) -> None:
        """End everything. Idempotent."""
        self._closed = True
        self.refuse()
        self._place.close()
        self.cut()
        self._flowing.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _listen(self) -> None:
        listener = _bound(self._port)
        listener.listen(128)
        with self._lock:
            self._listener = listener
        _thread("listens", self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._opened += 1
            try:
                server = socket.create_connection(self._target, timeout=10)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            pair = _Pair(client, server)
            with self._lock:
                if self._closed or self._listener is not listener:
                    pair.reset()
                    continue
                self._pairs.add(pair)
            _thread("to the server", self._carry, pair, client, server)
            _thread("to the client", self._carry, pair, server, client)

    def _carry(self, pair: _Pair, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while self._carry_chunk(pair, source, sink):
                pass
        pair.end()
        with self._lock:
            self._pairs.discard(pair)

    def _carry_chunk(self, pair: _Pair, source: socket.socket, sink: socket.socket) -> bool:
        # Peeking first leaves what was not carried in the kernel, where cut() destroys it.
        something = source.recv(1, socket.MSG_PEEK)
        if self._delay:
            time.sleep(self._delay)
        self._flowing.wait()
        with pair.carrying(source):
            if pair.over or not something:
                return False
            if self._flowing.is_set():
                sink.sendall(source.recv(CHUNK))
        return True


class _Pair:
    """One connection: the client's socket and the server's."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._sockets = (client, server)
        self._locks = {client: threading.Lock(), server: threading.Lock()}
        self.over = False
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def carrying(self, source: socket.socket) -> threading.Lock:
        """Be held while a chunk goes from ``source`` to the other side."""
        return self._locks[source]

    def settle(self) -> None:
        """Return when no chunk is halfway; a side that takes nothing is waited for 1 s only."""
        for lock in self._locks.values():
            if lock.acquire(timeout=1):
                lock.release()

    def reset(self) -> None:
        """End the connection on both sides, as a reset."""
        self.over = True
        for each in self._sockets:
            _reset(each)

    def end(self) -> None:
        """End the connection on both sides, as a close."""
        if self.over:
            return
        self.over = True
        for each in self._sockets:
            _shut(each, socket.SHUT_RDWR)


THREAD_PREFIX = "tidings.testing proxy "
"""What names of the proxy's own threads begin with."""


def _thread(what: str, run: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=run, args=arguments, name=f"{THREAD_PREFIX}{what}", daemon=True).start()


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _shut(connection, socket.SHUT_RD)  # not RDWR, which would say goodbye before the reset


def _bound(port: int) -> socket.socket:
    """Make a socket on ``port`` (0: a free one) that shares it with ours that do not listen."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", port))
    return place


def _shut(connection: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # wakes who reads it; closing alone would not
        connection.shutdown(how)
    with contextlib.suppress(OSError):
        connection.close()
