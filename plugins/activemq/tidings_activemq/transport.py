"""A socket for stomp.py on which nothing blocks for ever.

stomp.py's own ``Transport`` leaves Nagle's algorithm on (25 to 50 ms a transaction) and sends
without a deadline. Over TLS it takes a closed connection for a silent one. ``BaseTransport`` is
made to be given another socket: this is one.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from stomp.transport import BaseTransport
from typing_extensions import override

from tidings_activemq.whole_frames import WholeFrames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings_activemq.settings import ActiveMQSettings, Address

_RECEIVE = 65_536
_SEND = 1_048_576
_LOOK = 0.2  # seconds; a heartbeat is longer
# What OpenSSL encrypts at once; more only means to hand the rest over again.
_TLS_CHUNK = 16_384


class Target(NamedTuple):
    """One socket address of one host."""

    address: Address
    family: int
    socket_address: tuple[Any, ...]

    @override
    def __str__(self) -> str:
        """Return the host and port, and what the host's name stands for."""
        host, numeric = self.address.host, self.socket_address[0]
        return self.address.place if host == numeric else f"{self.address.place} ({numeric})"


def targets(address: Address) -> Sequence[Target]:
    """Look a host's name up; raises ``OSError``."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return [Target(address, family, where) for family, _, _, _, where in found]


class Transport(BaseTransport):  # type: ignore[misc]  # stomp.py has no types
    """Connects, sends and receives with deadlines. One connection, never reconnected.

    The socket does not block; stomp.py's thread receives while others send. TLS needs the two to
    take turns, so each call on the socket holds a lock, and waiting is done outside it.
    """

    def __init__(
        self, settings: ActiveMQSettings, target: Target, has_room: Callable[[float], bool]
    ) -> None:
        # Bodies are bytes, whatever they hold.
        super().__init__(auto_decode=False, is_eol_fc=lambda data: data in (b"\n", b"\r\n"))
        self._settings = settings
        self._target = target
        self.connect_timeout = settings.connect_timeout
        self._socket: socket.socket | None = None
        self._frames = WholeFrames()
        self._has_room = has_room
        self._process = os.getpid()
        self._turn = threading.Lock()
        self._frame = threading.Lock()

    def attempt_connection(self) -> None:
        """Connect, with TLS if the URL says so; raises ``OSError``."""
        address = self._target.address
        deadline = time.monotonic() + self.connect_timeout
        raw = socket.socket(self._target.family, socket.SOCK_STREAM)
        try:
            raw.settimeout(self.connect_timeout)
            raw.connect(self._target.socket_address)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if address.tls:
                raw.settimeout(max(deadline - time.monotonic(), 0.001))
                raw = self._tls_context().wrap_socket(raw, server_hostname=address.host)
            raw.setblocking(False)
        except BaseException:
            raw.close()
            raise
        self._socket = raw
        self.current_host_and_port = (address.host, address.port)

    def send(self, encoded_frame: bytes) -> None:
        """Write whole frames; ``TimeoutError`` when nothing went out for ``send_timeout``."""
        with self._frame:
            self._send_all(memoryview(encoded_frame))

    def writable(self) -> bool:
        """Say whether a small write would go out at once."""
        return self._socket is not None and self._ready(select.POLLOUT, 0)

    def receive(self) -> bytes:
        """Wait for whole frames; return none when the connection has ended."""
        while (connected := self._socket) is not None:
            while self.running and not self._has_room(_LOOK):
                self.notify("heartbeat")  # the silence is ours
            try:
                with self._turn:
                    data = connected.recv(_RECEIVE)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._ready(select.POLLIN, None)
            except ssl.SSLWantWriteError:
                self._ready(select.POLLOUT, None)
            else:
                # A large message that comes slowly is no silence, though it isn't whole yet.
                self.notify("heartbeat")
                frames = self._frames.take(data)
                if frames or not data:
                    return frames
        return b""

    def is_inherited(self) -> bool:
        """Say whether this process is a fork of the one that connected, whose connection it is."""
        return os.getpid() != self._process

    def disconnect_socket(self) -> None:
        """End the connection at once, waiting for nobody; stomp.py's thread then closes it."""
        self.running = False
        with self._turn:
            if self._socket is not None:
                # The other side may have been first.
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def cleanup(self) -> None:
        """Close the socket; stomp.py's thread calls it when it ends."""
        with self._turn:
            connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()

    def abandon(self) -> None:
        """Close this process's copy of the socket, if another process connected it."""
        # Without the lock: a thread that did not come along may have held it.
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()

    def _send_all(self, rest: memoryview) -> None:
        limit = _TLS_CHUNK if self._target.address.tls else _SEND
        while rest:
            event = select.POLLOUT
            try:
                with self._turn:
                    if self._socket is None:
                        raise ConnectionError("the connection is closed")
                    rest = rest[self._socket.send(rest[:limit]) :]
                continue
            except (BlockingIOError, ssl.SSLWantWriteError):
                pass
            except ssl.SSLWantReadError:
                event = select.POLLIN
            if not self._ready(event, self._settings.send_timeout):
                raise TimeoutError(f"it took no byte for {self._settings.send_timeout:g} s")

    def _ready(self, event: int, timeout: float | None) -> bool:
        poll = select.poll()
        try:
            with self._turn:
                if self._socket is None:
                    return True
                poll.register(self._socket, event)
        except ValueError:
            return True
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def _tls_context(self) -> ssl.SSLContext:
        settings = self._settings
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.certificate_file:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
        return context
