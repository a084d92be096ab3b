"""The producer: PUB."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

import zmq

from tidings.plugins import (
    MessageProducer,
    NotificationMessage,
    Position,
    UndeliverableEventError,
)
from tidings_zeromq.bound_socket import BoundSocket
from tidings_zeromq.pub.frames import encode

if TYPE_CHECKING:
    from datetime import datetime

    from tidings_zeromq.pub.settings import PubSettings

_LINGER = 500  # milliseconds for what still waits when the exchange is closed


class PubMessageProducer(MessageProducer):
    """Publishes to whoever listens just now. **Lossy**: here "accepted" is "handed to the socket".

    A subscriber that is late, slow or away misses events, and nobody is told; what was in flight
    when the relay died is gone. Where that matters, use the backend ``zeromq``.
    """

    def __init__(self, settings: PubSettings) -> None:
        self._settings = settings
        self._sockets: dict[str, BoundSocket] = {}
        self._sent: dict[str, int] = {}

    def open(self, exchange_name: str, position: Position = Position()) -> None:  # noqa: ARG002, B008 - nothing is remembered; immutable
        """Listen. One exchange an address: two would be one stream to a subscriber."""
        if exchange_name in self._sockets:
            raise RuntimeError(f"Exchange {exchange_name!r} is open already.")
        self._sockets[exchange_name] = BoundSocket(
            self._settings, zmq.PUB, exchange_name, self._prepare
        )

    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        """Hand one event to the socket."""
        bound = self._bound(exchange_name)
        try:
            frames = encode(
                notification_message, notification_type, notification_id, notification_occurred_on
            )
        except UnicodeEncodeError as error:
            raise UndeliverableEventError(
                f"Exchange {exchange_name!r}: event {notification_id} cannot be sent over ZeroMQ: "
                f"{error}.",
                exchange_name=exchange_name,
                event_id=notification_id,
            ) from error
        if bound.admission is not None:
            bound.admission.answer()
        bound.socket.send_multipart(frames)
        self._sent[exchange_name] = notification_id

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:  # noqa: ARG002 - nothing is waited for
        """Return at once: nobody acknowledges."""
        self._bound(exchange_name)

    def accepted_id(self, exchange_name: str) -> int | None:
        """Return the newest event handed to the socket."""
        return self._sent.get(exchange_name)

    def close(self, exchange_name: str) -> None:
        """Hang up, after half a second at the most for what still waits."""
        self._sent.pop(exchange_name, None)
        bound = self._sockets.pop(exchange_name, None)
        if bound is not None:
            bound.close()

    def wait(self, exchange_name: str, seconds: float) -> None:
        """Answer subscribers who want to join, for up to ``seconds``."""
        bound = self._bound(exchange_name)
        if bound.admission is not None:
            bound.admission.answer()
        poll = select.poll()
        for descriptor in bound.descriptors():
            poll.register(descriptor, select.POLLIN)
        poll.poll(seconds * 1000)

    def _bound(self, exchange_name: str) -> BoundSocket:
        try:
            return self._sockets[exchange_name]
        except KeyError:
            raise RuntimeError(f"Exchange {exchange_name!r} is not open.") from None

    def _prepare(self, socket: zmq.Socket[bytes]) -> None:
        socket.sndhwm = self._settings.high_water_mark
        socket.linger = _LINGER
        socket.tcp_keepalive = 1
