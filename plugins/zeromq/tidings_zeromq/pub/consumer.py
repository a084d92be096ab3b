"""The consumer: SUB."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import zmq

from tidings.plugins import MessageConsumer, ReceivedMessage
from tidings_zeromq.curve import encrypt_subscriber, subscriber_keys
from tidings_zeromq.pub.frames import decode

if TYPE_CHECKING:
    from tidings_zeromq.pub.settings import PubSettings


class SubMessageConsumer(MessageConsumer):
    """Reads what is published while it listens; nothing comes again, acknowledged or not."""

    def __init__(self, settings: PubSettings) -> None:
        self._settings = settings
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None

    def open(self, exchange_name: str) -> None:
        """Connect, and listen to every type."""
        if self._socket is not None:
            raise RuntimeError("The consumer is open already.")
        secret_key, relay_public_key = subscriber_keys(self._settings, exchange_name)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.rcvhwm = self._settings.high_water_mark
        self._socket.tcp_keepalive = 1
        self._socket.ipv6 = "[" in self._settings.connect_address
        if secret_key is not None and relay_public_key is not None:
            encrypt_subscriber(self._socket, secret_key, relay_public_key)
        self._socket.subscribe(b"")
        self._socket.connect(self._settings.connect_address)

    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Return the next message, or ``None`` when none came within ``timeout`` seconds."""
        if self._socket is None:
            raise RuntimeError("The consumer is not open.")
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            if not self._socket.poll(round(left * 1000)):
                return None
            message = decode(self._socket.recv_multipart())
            if message is not None:
                return message

    def acknowledge(self, message: ReceivedMessage) -> None:
        """Do nothing: nobody listens."""

    def close(self) -> None:
        """Hang up. Idempotent, never raises."""
        if self._socket is not None and self._context is not None:
            self._socket.close()
            self._context.term()
            self._socket = self._context = None
