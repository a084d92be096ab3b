"""SUB, connected by the version of IP that somebody listens on."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import zmq
from zmq.utils.monitor import parse_monitor_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SWITCH_SECONDS = 1.0
_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED


class SubSocket:
    """Goes on with the other version of IP, if the host has both and nothing is found.

    With a new socket: what ZeroMQ tells of the connection that was given up would be taken for
    news of the next one, which then nobody leaves though nobody listens there.
    """

    def __init__(
        self,
        address: str,
        ipv6_choices: Sequence[bool],
        prepare: Callable[[zmq.Socket[bytes]], None],
    ) -> None:
        self._address = address
        self._choices = list(ipv6_choices)
        self._prepare = prepare
        self._context = zmq.Context()
        try:
            self._connect()
        except BaseException:
            self._context.destroy(linger=0)
            raise

    def _connect(self) -> None:
        self._socket = socket = self._context.socket(zmq.SUB)
        socket.linger = 0
        socket.ipv6 = self._choices[0]
        self._prepare(socket)
        self._monitor: zmq.Socket[bytes] | None = None
        self._switch_at = math.inf
        if self._choices[1:]:
            self._monitor = socket.get_monitor_socket(_EVENTS)
            self._monitor.rcvhwm = 0  # it would block libzmq's own thread
            self._switch_at = time.monotonic() + SWITCH_SECONDS
        socket.connect(self._address)

    def receive(self, timeout: float) -> list[bytes] | None:
        """Return the next message, or ``None`` if none came within ``timeout`` seconds.

        May return ``None`` early, after it went on with the other version of IP.
        """
        left = max(0.0, min(timeout, self._switch_at - time.monotonic()))
        if self._socket.poll(math.ceil(left * 1000)):
            return self._socket.recv_multipart()
        self._look_at_the_monitor()
        if time.monotonic() >= self._switch_at:
            self._close_socket()
            self._choices.reverse()
            self._connect()
        return None

    def _look_at_the_monitor(self) -> None:
        while self._monitor is not None and self._monitor.poll(0):
            found = parse_monitor_message(self._monitor.recv_multipart())["event"]
            gone = found == zmq.EVENT_DISCONNECTED
            self._switch_at = time.monotonic() + SWITCH_SECONDS if gone else math.inf

    def _close_socket(self) -> None:
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor.close(linger=0)
        self._socket.close()

    def close(self) -> None:
        """Let go."""
        self._close_socket()
        self._context.term()
