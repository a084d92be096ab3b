"""One open exchange: a PUB socket."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

import zmq
from typing_extensions import override

from tidings.plugins import OpenExchange
from tidings_zeromq.bound_socket import BoundSocket, set_keepalive
from tidings_zeromq.failures import undeliverable
from tidings_zeromq.pub.frames import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.plugins import ExchangeContext, Notification
    from tidings_zeromq.pub.settings import ZeroMQPubSettings

_LINGER = 500  # milliseconds for what still waits when the exchange is closed


class OpenZeroMQPubExchange(OpenExchange):
    """Hands events to a socket that nobody acknowledges."""

    longest_silence = 0.05  # a subscriber that wants to join waits for as long

    def __init__(self, settings: ZeroMQPubSettings, context: ExchangeContext) -> None:
        self._exchange_name = context.exchange_name
        self._high_water_mark = settings.high_water_mark
        self._heartbeat = settings.heartbeat
        self._sent: int | None = None
        self._bound = BoundSocket(settings, zmq.PUB, context.exchange_name, self._prepare)

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        """Hand the events to the socket."""
        bound = self._bound
        for notification in notifications:
            try:
                frames = encode(*notification)
            except ValueError as error:
                raise undeliverable(self._exchange_name, notification.event_id, error) from error
            if bound.admission is not None:
                bound.admission.answer()
            bound.socket.send_multipart(frames)
            self._sent = notification.event_id

    @override
    def flush(self, timeout: float | None = None) -> None:
        """Return at once: nobody acknowledges."""

    @override
    def accepted_id(self) -> int | None:
        """Return the newest event handed to the socket."""
        return self._sent

    @override
    def wait(self, seconds: float) -> None:
        """Answer subscribers who want to join, for up to ``seconds``."""
        if self._bound.admission is not None:
            self._bound.admission.answer()
        poll = select.poll()
        for descriptor in self._bound.descriptors():
            poll.register(descriptor, select.POLLIN)
        poll.poll(seconds * 1000)

    @override
    def close(self) -> None:
        """Hang up, after half a second at the most for what still waits."""
        self._bound.close()

    def _prepare(self, socket: zmq.Socket[bytes]) -> None:
        socket.sndhwm = self._high_water_mark
        socket.linger = _LINGER
        set_keepalive(socket, self._heartbeat)
