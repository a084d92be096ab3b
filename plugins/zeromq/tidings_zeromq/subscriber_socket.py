"""A subscriber's socket, and what its monitor tells of it."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

import zmq
from zmq.utils.monitor import parse_monitor_message

from tidings_zeromq.bound_socket import set_heartbeat
from tidings_zeromq.curve import encrypt_subscriber

if TYPE_CHECKING:
    from pydantic import SecretStr

_LINGER = 500  # milliseconds for the last acknowledgement
_RECONNECT = 100  # milliseconds
_MONITOR_ADDRESS = "inproc://monitor"
_FAILURES = 3  # cut handshakes in a row: one may be a relay that was just killed
_EVENTS = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)


class SubscriberSocket:
    """A DEALER that connects by itself, again and again."""

    def __init__(
        self,
        address: str,
        heartbeat: float,
        secret_key: SecretStr | None,
        relay_public_key: str | None,
        *,
        ipv6: bool,
    ) -> None:
        self.established = False
        """Whether a relay is at the other end, as far as the monitor has said."""
        self.refused = False
        """Whether the relay refused our key."""
        self.last_alive = time.monotonic()
        """When it was made or a relay was last known to be there."""
        self._failures = 0
        self._process = os.getpid()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._socket = self._context.socket(zmq.DEALER)
            self._monitor = self._context.socket(zmq.PAIR)
            self._prepare(heartbeat, ipv6=ipv6)
            if secret_key is not None and relay_public_key is not None:
                encrypt_subscriber(self._socket, secret_key, relay_public_key)
            self._socket.connect(address)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self._poller = zmq.Poller()
        self.watch(self._poller)

    @property
    def is_foreign(self) -> bool:
        """Whether it is another process's, from which this one was forked off."""
        return os.getpid() != self._process

    @property
    def failing(self) -> bool:
        """Whether handshakes are cut one after the other."""
        return self._failures >= _FAILURES

    def receive(self) -> bytes | None:
        """Return the next frame, or ``None`` if none waits; frames in company are nobody's."""
        try:
            frames = self._socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return None
        return frames[0] if len(frames) == 1 else b""

    def send(self, frame: bytes) -> None:
        """Send a frame if the connection takes it; what is lost is said again later."""
        try:
            self._socket.send(frame, zmq.DONTWAIT)
        except zmq.Again:
            return

    def poll(self, seconds: float) -> None:
        """Return when something has arrived or changed, after ``seconds`` at the latest."""
        self._poller.poll(math.ceil(max(0.0, seconds) * 1000))

    def watch(self, poller: zmq.Poller) -> None:
        """Let a poller tell when something has arrived or changed."""
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)

    def look(self) -> bool:
        """Take in what the monitor says; true if a relay has newly been found."""
        found = False
        while int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            event = parse_monitor_message(self._monitor.recv_multipart())["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.established = found = True
                self.refused = False
                self._failures = 0
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self.refused = True
            elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                self._failures = _FAILURES  # libzmq does not try again after it
            elif event == zmq.EVENT_DISCONNECTED:
                self._failures += not self.established
                self.last_alive = time.monotonic()
                self.established = found = False
        return found

    def close(self) -> None:
        """Hang up; waits a moment for the last acknowledgement if a relay is there.

        In a process that was forked off, nothing is done. The threads that would do it are not
        there, and the connection is the other process's.
        """
        if self.is_foreign:
            return
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=_LINGER if self.established else 0)
        self._context.term()

    def _prepare(self, heartbeat: float, *, ipv6: bool) -> None:
        socket = self._socket
        # The relay's window bounds what waits here. A high-water mark would, too, but libzmq
        # (4.3.5) aborts the process when a heartbeat ends a connection that has reached it.
        socket.sndhwm = socket.rcvhwm = 0
        socket.reconnect_ivl = _RECONNECT
        socket.ipv6 = ipv6
        set_heartbeat(socket, heartbeat)
        socket.monitor(_MONITOR_ADDRESS, _EVENTS)
        self._monitor.rcvhwm = 0  # the monitor blocks libzmq's own thread if it is full
        self._monitor.connect(_MONITOR_ADDRESS)
