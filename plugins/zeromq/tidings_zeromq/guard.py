"""Who is connected to a socket that listens, and when a peer is cut off."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import zmq
from zmq.utils.monitor import parse_monitor_message

from tidings.plugins import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

log = escaping_logger("tidings.zeromq")

BURST = 2 * 1024 * 1024
RATE = 512 * 1024
"""Bytes that a peer may send at once, and in a second: several times what a subscriber has to say.

A number of requests, of parts and of bytes are bounded by it alike: libzmq bounds none of them.
"""

_BURST_AFTER_A_CUT = 64 * 1024
_PENALTY = 60.0  # seconds
_LOOK = 0.03  # seconds; what comes in between is beyond the burst
_EVENTS = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_ACCEPT_FAILED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_MONITOR_STOPPED
)
_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
_BYTES_RECEIVED = 128  # where Linux's tcp_info holds them


@dataclass
class _Peer:
    descriptor: int
    address: object
    """As the system names it: with the port, so that a descriptor's next owner is told apart."""
    host: str
    allowance: float
    received: int = 0
    looked_at: float = field(default_factory=time.monotonic)


class Guard:
    """Watches a socket's connections, in a thread of its own, so that a busy relay is guarded too.

    Cuts off a peer that sends more than :data:`BURST` and :data:`RATE` allow, and connections
    beyond ``limit``: first those that have asked for nothing. Says so in the log.
    """

    def __init__(self, bound: zmq.Socket[bytes], limit: int) -> None:
        self._bound = bound
        self._limit = limit
        self._peers: dict[int, _Peer] = {}
        self._names: dict[int, str] = {}  # of their own: one may be said before it is heard of
        self._offended: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._reserve = _Reserve()
        self._monitor = bound.get_monitor_socket(_EVENTS)
        self._monitor.rcvhwm = 0  # it would block libzmq's own thread
        self._thread = threading.Thread(target=self._watch, name="tidings-zeromq", daemon=True)
        self._thread.start()

    def introduce(self, descriptor: int, name: str) -> None:
        """Note which subscriber the peer of that descriptor says to be."""
        self._names[descriptor] = name

    def cut(self, descriptor: int, why: str) -> None:
        """End a connection; it may come back."""
        peer = self._peers.pop(descriptor, None)
        if peer is None:
            return
        name = self._names.pop(descriptor, None)  # before the watching thread hears of the end
        # A duplicate: its number is nobody else's before it is compared, and shut down.
        with suppress(OSError), _duplicate(descriptor) as connection:
            if _address_of(connection) == peer.address:
                connection.shutdown(socket.SHUT_RDWR)
        self._offended[peer.host] = time.monotonic()
        who = peer.host if name is None else f"{peer.host} (subscriber {name!r})"
        self._tell(peer.host, f"Peer {who} was cut off: {why}.")

    def close(self) -> None:
        """Watch no longer."""
        self._bound.disable_monitor()
        self._thread.join()
        self._reserve.close()

    def _watch(self) -> None:
        with self._monitor as monitor:
            looked_at = 0.0
            while True:
                monitor.poll(round(_LOOK * 1000))
                while int(monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                    event = parse_monitor_message(monitor.recv_multipart())
                    if event["event"] == zmq.EVENT_MONITOR_STOPPED:
                        return
                    self._hear(event)
                now = time.monotonic()
                if now - looked_at >= _LOOK:
                    looked_at = now
                    self._look(now)

    def _hear(self, event: Mapping[str, object]) -> None:
        kind, value = event["event"], int(event["value"])  # type: ignore[call-overload]
        if kind == zmq.EVENT_ACCEPT_FAILED:
            if value in _NO_DESCRIPTORS:
                self._reserve.lend()
                self._tell("", "Subscribers cannot connect: too many open files (`ulimit -n`).")
        elif kind == zmq.EVENT_DISCONNECTED:
            self._peers.pop(value, None)
            self._names.pop(value, None)
        else:
            self._accept(value)

    def _accept(self, descriptor: int) -> None:
        self._peers.pop(descriptor, None)
        try:
            with _borrowed(descriptor) as connection:
                address = _address_of(connection)
        except OSError:
            if not self._reserve.lent:
                return  # it is gone already
            address = None
        host = _host_of(address)
        fresh = time.monotonic() - self._offended.get(host, -_PENALTY) >= _PENALTY
        self._peers[descriptor] = _Peer(
            descriptor, address, host, BURST if fresh else _BURST_AFTER_A_CUT
        )
        if self._reserve.lent:
            self._refuse_for_want_of_descriptors(descriptor)
        elif len(self._peers) > self._limit:
            strangers = (each for each in list(self._peers) if each not in self._names)
            self.cut(
                next(strangers, descriptor),
                f"there are more than {self._limit} connections (`max_connections`)",
            )

    def _refuse_for_want_of_descriptors(self, descriptor: int) -> None:
        with suppress(OSError), _borrowed(descriptor) as connection:
            connection.shutdown(socket.SHUT_RDWR)

    def _look(self, now: float) -> None:
        self._reserve.take_back()
        for peer in list(self._peers.values()):
            received = _bytes_received(peer)
            if received is None:
                continue
            seconds, peer.looked_at = now - peer.looked_at, now
            peer.allowance = min(peer.allowance + seconds * RATE, BURST)
            peer.allowance -= received - peer.received
            peer.received = received
            if peer.allowance < 0:
                self.cut(peer.descriptor, f"it sent {received} bytes, more than a subscriber says")
        for host in [each for each, at in list(self._offended.items()) if now - at >= _PENALTY]:
            self._offended.pop(host, None)

    def _tell(self, about: str, what: str) -> None:
        """Log it; about one host, once in a minute."""
        now = time.monotonic()
        if now - self._told.get(about, -_PENALTY) < _PENALTY:
            return
        if len(self._told) >= self._limit:
            self._told.clear()
        self._told[about] = now
        log.warning("%s", what)


class _Reserve:
    """A descriptor kept back: without one, libzmq can neither take nor refuse who connects.

    It would try again at once, for ever, and use up a processor.
    """

    def __init__(self) -> None:
        self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def lent(self) -> bool:
        return self._descriptor < 0

    def lend(self) -> None:
        if not self.lent:
            os.close(self._descriptor)
            self._descriptor = -1

    def take_back(self) -> None:
        if self.lent:
            with suppress(OSError):
                self._descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        self.lend()


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    connection = socket.socket(fileno=descriptor)
    try:
        yield connection
    finally:
        connection.detach()


@contextmanager
def _duplicate(descriptor: int) -> Iterator[socket.socket]:
    own = os.dup(descriptor)
    try:
        with _borrowed(own) as connection:
            yield connection
    finally:
        os.close(own)


def _address_of(connection: socket.socket) -> object:
    return connection.getsockname(), connection.getpeername()


def _host_of(address: object) -> str:
    peer = address[1] if isinstance(address, tuple) else None
    return str(peer[0]) if isinstance(peer, tuple) else "on this machine"


def _bytes_received(peer: _Peer) -> int | None:
    """Return how much came over a TCP connection; ``None`` if the system does not say."""
    if sys.platform != "linux" or not isinstance(peer.address, tuple):
        return None
    if not isinstance(peer.address[1], tuple):
        return None
    try:
        with _borrowed(peer.descriptor) as connection:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            if _address_of(connection) != peer.address:
                return None
    except OSError:
        return None
    if len(info) < _BYTES_RECEIVED + 8:
        return None
    return int(struct.unpack_from("Q", info, _BYTES_RECEIVED)[0])
