"""A socket that listens: bound, locked, encrypted if the settings say so."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import ExitStack
from typing import TYPE_CHECKING

import zmq

from tidings.plugins import BrokerRefusedError, ExchangeLockedError
from tidings_zeromq.curve import Admission, encrypt_relay, public_key_of
from tidings_zeromq.guard import Guard
from tidings_zeromq.hosts import ipv6_to_bind
from tidings_zeromq.ipc_lock import IpcLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from tidings_zeromq.settings import EndpointSettings


class BoundSocket:
    """A socket of ``kind`` bound at ``settings.bind``, with all that belongs to it.

    ``prepare`` sets the options that must stand before it is bound. Raises
    :class:`ExchangeLockedError` if somebody else listens there, :class:`BrokerRefusedError`
    if nobody may.
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
        self._process = os.getpid()
        with ExitStack() as undo:
            if self._address.startswith("ipc://") and not self._address.startswith("ipc://@"):
                self._check_path(self._address.removeprefix("ipc://"))
                undo.callback(IpcLock(self._address, exchange_name).release)
                self._check_nobody_listens(self._address.removeprefix("ipc://"))
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            undo.callback(context.term)
            self.admission = None
            """Answers who may connect; ``None`` if everybody may."""
            if settings.curve_secret_key is not None:
                self._check_public_key(settings, settings.curve_secret_key)
                self.admission = Admission(context, settings.curve_clients)
                undo.callback(self.admission.close)
            self.socket = context.socket(kind)
            undo.callback(self.socket.close)
            if settings.curve_secret_key is not None:
                encrypt_relay(self.socket, settings.curve_secret_key)
            self.socket.ipv6 = ipv6_to_bind(self._address)
            prepare(self.socket)
            self.guard = Guard(self.socket, settings.max_connections)
            """Watches who is connected."""
            undo.callback(self.guard.close)
            self._bind()
            self._undo = undo.pop_all()

    def close(self) -> None:
        """Listen no longer. Idempotent; in a process that was forked off, it does nothing."""
        if os.getpid() == self._process:
            self._undo.close()

    def descriptors(self) -> list[int]:
        """Return the file descriptors that become readable when something may have arrived."""
        sockets = [self.socket] if self.admission is None else [self.socket, self.admission.socket]
        return [socket.fileno() for socket in sockets]

    def _check_path(self, path: str) -> None:
        """Refuse a path that is no socket's, or another program's: libzmq would delete it."""
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - as little as can be between it and binding
        except OSError:
            return  # nothing there, or a folder that cannot be entered, which binding tells
        if not stat.S_ISSOCK(mode):
            raise BrokerRefusedError(
                f"Exchange {self._exchange_name!r}: cannot listen at {self._address}: "
                f"{'a folder' if stat.S_ISDIR(mode) else 'a file'} is there. Correct `bind`.",
                exchange_name=self._exchange_name,
            )

    def _check_nobody_listens(self, path: str) -> None:
        """Refuse another program's place; another relay's is locked."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(path)
            except OSError:
                return  # nobody; what a dead relay left is in nobody's way
        raise self._taken("another program")

    def _taken(self, by: str) -> ExchangeLockedError:
        return ExchangeLockedError(
            f"Exchange {self._exchange_name!r}: {self._address} is taken, by {by}. One relay at a "
            "time listens there: stop the other, or give this exchange another `bind`.",
            exchange_name=self._exchange_name,
        )

    def _bind(self) -> None:
        try:
            self.socket.bind(self._address)
        except zmq.ZMQError as error:
            if error.errno == errno.EADDRINUSE:
                raise self._taken("another relay or another program") from error
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


def set_keepalive(socket: zmq.Socket[bytes], seconds: float) -> None:
    """Let the system give a peer up that has been silent for three times ``seconds``.

    Over TCP, and while nothing is under way to it. ZeroMQ's own heartbeats would do more, but not
    on a socket that has a high-water mark: libzmq (4.3.5) may abort the process.
    """
    socket.tcp_keepalive = 1
    socket.tcp_keepalive_idle = socket.tcp_keepalive_intvl = max(1, round(seconds))
    socket.tcp_keepalive_cnt = 2
