"""CURVE: whose keys may connect, and the options that encrypt a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zmq
from zmq.utils import z85

from tidings.plugins import BrokerRefusedError, escaping_logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import SecretStr

    from tidings_zeromq.settings import EndpointSettings

log = escaping_logger("tidings.zeromq")

_ZAP_ADDRESS = "inproc://zeromq.zap.01"
_ZAP_FRAMES = 7
_KEPT = 100  # refused keys remembered, so that each is logged once


def public_key_of(secret_key: SecretStr) -> str:
    """Return the public key that belongs to ``secret_key``."""
    return zmq.curve_public(secret_key.get_secret_value().encode()).decode()


def subscriber_keys(
    settings: EndpointSettings, exchange_name: str
) -> tuple[SecretStr | None, str | None]:
    """Return a subscriber's secret key and its relay's public key, or two ``None``."""
    secret_key, relay_public_key = settings.curve_client_secret_key, settings.curve_public_key
    if relay_public_key is None and settings.curve_secret_key is not None:
        relay_public_key = public_key_of(settings.curve_secret_key)
    if relay_public_key is not None and secret_key is None:
        raise BrokerRefusedError(
            f"Exchange {exchange_name!r}: the relay's CURVE key is set, and the subscriber's own "
            "is not: set curve_client_secret_key.",
            exchange_name=exchange_name,
        )
    return secret_key, relay_public_key


def encrypt_relay(socket: zmq.Socket[bytes], secret_key: SecretStr) -> None:
    """Let ``socket`` take none but encrypted connections."""
    socket.curve_server = True
    socket.curve_secretkey = secret_key.get_secret_value().encode()
    socket.zap_domain = b"tidings"


def encrypt_subscriber(
    socket: zmq.Socket[bytes], secret_key: SecretStr, relay_public_key: str
) -> None:
    """Let ``socket`` talk to none but the relay of ``relay_public_key``."""
    socket.curve_serverkey = relay_public_key.encode()
    socket.curve_secretkey = secret_key.get_secret_value().encode()
    socket.curve_publickey = public_key_of(secret_key).encode()


class Admission:
    """Answers libzmq's question, who may connect (ZAP, ZeroMQ RFC 27).

    Without a thread: :meth:`answer` is called by whoever polls the socket. There can be one for
    each context.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], clients: Iterable[str]) -> None:
        self._clients = frozenset(clients)
        self._refused: set[str] = set()
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(_ZAP_ADDRESS)

    @property
    def refused(self) -> int:
        """How many keys were refused."""
        return len(self._refused)

    def answer(self) -> None:
        """Answer everything that was asked; does not block."""
        while int(self.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            frames = self.socket.recv_multipart()
            request_id = frames[1] if len(frames) > 1 else b""
            admitted = len(frames) == _ZAP_FRAMES and self._admits(frames[6])
            status = (b"200", b"OK") if admitted else (b"400", b"not among curve_clients")
            self.socket.send_multipart((b"1.0", request_id, *status, b"", b""))

    def _admits(self, key: bytes) -> bool:
        text = z85.encode(key).decode()
        if text in self._clients or "*" in self._clients:
            return True
        if text not in self._refused and len(self._refused) < _KEPT:
            self._refused.add(text)
            log.warning(
                "A subscriber with the CURVE public key %s was refused: it is not among "
                "curve_clients.",
                text,
            )
        return False

    def close(self) -> None:
        """Let go of the socket."""
        self.socket.close()
