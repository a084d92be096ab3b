"""A socket, plain or TLS, that is read and written without waiting longer than asked."""

from __future__ import annotations

import select
import socket
import ssl
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidings_rabbitmq.address import Address

READ_SIZE = 256 * 1024
WANTS_MORE = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class SocketStream:
    """One TCP connection. Failures are ``OSError`` (``ssl.SSLError`` is one)."""

    def __init__(self, address: Address, context: ssl.SSLContext | None, timeout: float) -> None:
        """Connect, and agree on TLS, within ``timeout`` seconds each."""
        self._socket = socket.create_connection((address.ip, address.port), timeout)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                self._socket = context.wrap_socket(self._socket, server_hostname=address.host)
        except BaseException:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self._out: deque[memoryview] = deque()
        self.unsent = 0
        """Bytes that the socket has not taken yet."""

    @property
    def descriptor(self) -> int:
        """The file descriptor of the socket."""
        return self._socket.fileno()

    def write(self, data: bytes) -> None:
        """Queue ``data``, and write what the socket takes now."""
        self._out.append(memoryview(data))
        self.unsent += len(data)
        self._flush()

    def read(self, seconds: float) -> bytes:
        """Return what has come, after waiting for it up to ``seconds``; writes meanwhile.

        Returns early, with nothing, when the socket took something. ``ConnectionResetError`` at
        the other side's end.
        """
        with suppress(*WANTS_MORE):
            return self._receive()
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._out else 0))
        poll.poll(max(seconds, 0) * 1000)
        self._flush()
        with suppress(*WANTS_MORE):
            return self._receive()
        return b""

    def close(self) -> None:
        """Close at once."""
        self._socket.close()

    def _receive(self) -> bytes:
        data = self._socket.recv(READ_SIZE)
        if not data:
            raise ConnectionResetError("it closed the connection")
        return data

    def _flush(self) -> None:
        with suppress(*WANTS_MORE):
            while self._out:
                taken = self._socket.send(self._out[0])
                self.unsent -= taken
                rest = self._out[0][taken:]
                if rest:
                    self._out[0] = rest
                else:
                    self._out.popleft()
