"""SUB, connected by the version of IP that somebody listens on."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import zmq
from zmq.utils.monitor import parse_monitor_message

from tidings.plugins import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = escaping_logger("tidings.zeromq")

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
        socket = self._context.socket(zmq.SUB)
        monitor: zmq.Socket[bytes] | None = None
        try:
            socket.linger = 0
            socket.ipv6 = self._choices[0]
            self._prepare(socket)
            if self._choices[1:]:
                monitor = socket.get_monitor_socket(_EVENTS)
                monitor.rcvhwm = 0  # it would block libzmq's own thread
            socket.connect(self._address)
        except BaseException:
            socket.close()
            raise
        self._socket, self._monitor = socket, monitor
        self._switch_at = math.inf if monitor is None else time.monotonic() + SWITCH_SECONDS

    def receive(self, timeout: float) -> list[bytes] | None:
        """Return the next message, or ``None`` if none came within ``timeout`` seconds.

        May return ``None`` early, after it went on with the other version of IP.
        """
        left = max(0.0, min(timeout, self._switch_at - time.monotonic()))
        if self._socket.poll(math.ceil(left * 1000)):
            return self._socket.recv_multipart()
        self._look_at_the_monitor()
        if time.monotonic() >= self._switch_at:
            self._switch_version()
        return None

    def _switch_version(self) -> None:
        before, monitor = self._socket, self._monitor
        self._choices.reverse()
        try:
            self._connect()
        except zmq.ZMQError as error:  # no descriptor left, say: the one that is there goes on
            log.debug("No socket for %s: %s", self._address, error)
            self._choices.reverse()
            self._switch_at = time.monotonic() + SWITCH_SECONDS
        else:
            _close(before, monitor)

    def _look_at_the_monitor(self) -> None:
        while self._monitor is not None and self._monitor.poll(0):
            found = parse_monitor_message(self._monitor.recv_multipart())["event"]
            gone = found == zmq.EVENT_DISCONNECTED
            self._switch_at = time.monotonic() + SWITCH_SECONDS if gone else math.inf

    def close(self) -> None:
        """Let go."""
        _close(self._socket, self._monitor)
        self._context.term()


def _close(socket: zmq.Socket[bytes], monitor: zmq.Socket[bytes] | None) -> None:
    if monitor is not None:
        socket.disable_monitor()
        monitor.close(linger=0)
    socket.close()
