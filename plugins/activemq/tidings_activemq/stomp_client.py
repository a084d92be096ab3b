"""stomp.py's part of a connection: its threads receive, parse and beat."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from stomp.connect import BaseConnection
from stomp.listener import ConnectionListener
from stomp.protocol import Protocol12

from tidings_activemq.arrivals import Arrival, Arrivals
from tidings_activemq.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings_activemq.settings import ActiveMQSettings
    from tidings_activemq.transport import Target

_THREAD_END = 2.0

_BEATS = 4
"""Beats that we ask of the broker within ``heartbeat``, the silence after which it counts as dead.

ActiveMQ looks once an interval whether it has sent anything since it last looked, and beats only if
it hasn't. So it may well be silent for two intervals. That leaves it half of ``heartbeat`` for what
keeps a broker busy, as a pause for its garbage.
"""


class StompClient:
    """One attempt at a connection to one address: its socket and its threads."""

    def __init__(self, settings: ActiveMQSettings, target: Target, arrivals: Arrivals) -> None:
        self.transport = Transport(settings, target, arrivals.has_room)
        self._protocol = _Protocol(self.transport, round(settings.heartbeat * 1000))
        self._receiver: threading.Thread | None = None
        self.transport.set_listener("arrivals", _Listener(arrivals))
        self.transport.override_threading(self._start_receiver)

    def start(self, timeout: float) -> None:
        """Connect, with TLS if it is asked for, and begin to receive; raises ``OSError``."""
        self.transport.connect_timeout = timeout
        self.transport.start()

    @property
    def heart_beat(self) -> str:
        """The login's header: how often we promise to beat, and how often the broker shall."""
        ours, theirs = self._protocol.promised
        return f"{ours},{theirs}"

    def end(self) -> None:
        """Disconnect at once. Never raises, leaves no thread.

        In a fork of the process that connected it closes the fork's copy of the socket alone. That
        ends nothing of the other's connection, and none of its threads has come along.
        """
        if self.transport.is_inherited():
            self.transport.abandon()
            return
        self.transport.disconnect_socket()
        for thread in (self._receiver, self._protocol.end_heartbeat()):
            if thread is not None:
                thread.join(_THREAD_END)
        self.transport.cleanup()

    def _start_receiver(self, receive: Callable[[], None]) -> threading.Thread:
        self._receiver = threading.Thread(target=receive, name="tidings-activemq", daemon=True)
        self._receiver.start()
        return self._receiver


class _Protocol(BaseConnection, Protocol12):  # type: ignore[misc]  # stomp.py has no types
    """stomp.py's protocol, for its heartbeats."""

    def __init__(self, transport: Transport, heartbeat: int) -> None:
        self.promised = (heartbeat, heartbeat // _BEATS)
        BaseConnection.__init__(self, transport)
        Protocol12.__init__(
            self,
            transport,
            heartbeats=(heartbeat // 2, heartbeat // _BEATS),
            heart_beat_receive_scale=_BEATS,
        )

    def on_connected(self, frame: Any) -> None:
        """Beat twice as often as promised: ActiveMQ counts a late beat as a missing one."""
        if "heart-beat" in frame.headers:
            theirs, ours = frame.headers["heart-beat"].split(",")
            frame.headers["heart-beat"] = f"{theirs},{int(ours) // 2}"
        super().on_connected(frame)

    def end_heartbeat(self) -> Any:
        """Ask the heartbeat's thread to end, and return it."""
        thread = self.heartbeat_thread
        self.heartbeat_terminate_event.set()
        return thread


class _Listener(ConnectionListener):  # type: ignore[misc]  # stomp.py has no types
    """Puts what stomp.py's thread receives into the caller's queue."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._put = arrivals.put

    def on_connected(self, frame: Any) -> None:
        self._put(Arrival("connected", frame.headers, frame.body))

    def on_message(self, frame: Any) -> None:
        self._put(Arrival("message", frame.headers, frame.body))

    def on_receipt(self, frame: Any) -> None:
        self._put(Arrival("receipt", frame.headers, frame.body))

    def on_error(self, frame: Any) -> None:
        self._put(Arrival("error", frame.headers, frame.body))

    def on_disconnected(self) -> None:
        self._put(Arrival("lost", {}, b""))

    def on_heartbeat_timeout(self) -> None:
        self._put(Arrival("lost", {}, b""))
