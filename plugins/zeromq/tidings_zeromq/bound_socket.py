"""A socket that listens: bound, locked, encrypted where the settings say so."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from typing import TYPE_CHECKING

import zmq

from tidings.plugins import BrokerRefusedError, ExchangeLockedError
from tidings_zeromq.curve import Admission, encrypt_relay, public_key_of
from tidings_zeromq.ipc_lock import IpcLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from tidings_zeromq.settings import EndpointSettings


class BoundSocket:
    """A socket of ``kind`` bound at ``settings.bind``, with all that belongs to it.

    ``prepare`` sets the options that must stand before it is bound. Raises
    :class:`ExchangeLockedError` where somebody else listens there, :class:`BrokerRefusedError`
    where nobody may.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        kind: int,
        exchange_name: str,
        prepare: Callable[[zmq.Socket[bytes]], None],
    ) -> None:
        self._address = settings.bind
        self._exchange_name = exchange_name
        with ExitStack() as undo:
            if self._address.startswith("ipc://") and not self._address.startswith("ipc://@"):
                undo.callback(IpcLock(self._address, exchange_name).release)
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            undo.callback(context.term)
            self.admission = None
            """Answers who may connect; ``None`` where everybody may."""
            if settings.curve_secret_key is not None:
                self._check_public_key(settings, settings.curve_secret_key)
                self.admission = Admission(context, settings.curve_clients)
                undo.callback(self.admission.close)
            self.socket = context.socket(kind)
            undo.callback(self.socket.close)
            if settings.curve_secret_key is not None:
                encrypt_relay(self.socket, settings.curve_secret_key)
            self.socket.ipv6 = "[" in self._address
            prepare(self.socket)
            self._bind()
            self._undo = undo.pop_all()

    def close(self) -> None:
        """Listen no longer. Idempotent."""
        self._undo.close()

    def descriptors(self) -> list[int]:
        """Return the file descriptors that become readable when something may have arrived."""
        sockets = [self.socket] if self.admission is None else [self.socket, self.admission.socket]
        return [socket.fileno() for socket in sockets]

    def _bind(self) -> None:
        try:
            self.socket.bind(self._address)
        except zmq.ZMQError as error:
            if error.errno == errno.EADDRINUSE:
                raise ExchangeLockedError(
                    f"Exchange {self._exchange_name!r}: {self._address} is taken, by another relay "
                    "or another program. One relay at a time listens there: stop the other, or "
                    "give this exchange another `bind`.",
                    exchange_name=self._exchange_name,
                ) from error
            raise BrokerRefusedError(
                f"Exchange {self._exchange_name!r}: cannot listen at {self._address}: "
                f"{zmq.strerror(error.errno or 0)}. Correct `bind`: it must be an address of this "
                "machine that this user may open.",
                exchange_name=self._exchange_name,
            ) from error

    def _check_public_key(self, settings: EndpointSettings, secret_key: SecretStr) -> None:
        if settings.curve_public_key not in {None, public_key_of(secret_key)}:
            raise BrokerRefusedError(
                f"Exchange {self._exchange_name!r}: curve_public_key does not belong to "
                "curve_secret_key. Take it out, or give the public half of the same pair.",
                exchange_name=self._exchange_name,
            )


def set_heartbeat(socket: zmq.Socket[bytes], seconds: float) -> None:
    """Let ``socket`` give a peer up that has been silent for three times ``seconds``."""
    socket.heartbeat_ivl = round(seconds * 1000)
    socket.heartbeat_timeout = round(seconds * 2000)
