"""The one socket that all of a process's exchanges on one address share."""

from __future__ import annotations

import enum
import errno
import select
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import zmq

from tidings.plugins import BrokerRefusedError, ExchangeLockedError
from tidings_zeromq.curve import Admission, encrypt_relay, public_key_of
from tidings_zeromq.ipc_lock import IpcLock
from tidings_zeromq.wire import MAX_REQUEST, WireError, decode_request

if TYPE_CHECKING:
    from pydantic import SecretStr

    from tidings_zeromq.settings import EndpointSettings
    from tidings_zeromq.wire import Request

_SHARED_PAUSE = 0.02  # seconds: another exchange's thread may take in what is ours
_FRAMES = 2


class Sent(enum.Enum):
    """What became of a frame."""

    TAKEN = "taken"
    FULL = "full"
    """The connection takes no more just now."""
    GONE = "gone"
    """There is no such connection any more."""


class Endpoint:
    """A bound ROUTER that exchanges share.

    Connections are named by ROUTER itself, never by the peer, so that no peer can take another's
    place; a subscriber's name stands in its requests.

    **Threads.** Any number: a lock guards the sockets. Each exchange has an inbox of its own.
    """

    _all: dict[str, Endpoint] = {}  # noqa: RUF012 - the process's, guarded by _all_lock
    _all_lock = threading.Lock()

    def __init__(self, settings: EndpointSettings, exchange_name: str) -> None:
        self.address = settings.bind
        self._settings = settings
        self._lock = threading.RLock()
        self._inboxes: dict[str, dict[bytes, Request]] = {}
        with ExitStack() as undo:
            if self.address.startswith("ipc://") and not self.address.startswith("ipc://@"):
                self._ipc_lock: IpcLock | None = IpcLock(self.address, exchange_name)
                undo.callback(self._ipc_lock.release)
            else:
                self._ipc_lock = None
            self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            undo.callback(self._context.term)
            self._admission = self._make_admission(exchange_name, undo)
            self._router = self._context.socket(zmq.ROUTER)
            undo.callback(self._router.close)
            self._prepare_router()
            self._bind(exchange_name)
            self._undo = undo.pop_all()

    @classmethod
    def join(cls, settings: EndpointSettings, exchange_name: str) -> Endpoint:
        """Return the process's endpoint at that address, which now serves ``exchange_name`` too.

        Raises :class:`ExchangeLockedError` where another process, or another producer of this
        one, has it.
        """
        with cls._all_lock:
            endpoint = cls._all.get(settings.bind)
            if endpoint is None:
                endpoint = cls._all[settings.bind] = cls(settings, exchange_name)
            endpoint._admit(settings, exchange_name)
            return endpoint

    def leave(self, exchange_name: str) -> None:
        """Serve ``exchange_name`` no longer; the last one out closes the socket."""
        with self._all_lock, self._lock:
            self._inboxes.pop(exchange_name, None)
            if not self._inboxes and self._all.get(self.address) is self:
                del self._all[self.address]
                self._undo.close()

    def send(self, connection: bytes, frame: bytes) -> Sent:
        """Hand one frame to a connection; does not block."""
        with self._lock:
            try:
                self._router.send(connection, zmq.SNDMORE | zmq.DONTWAIT)
                self._router.send(frame, zmq.DONTWAIT)
            except zmq.Again:
                return Sent.FULL
            except zmq.ZMQError as error:
                if error.errno in {errno.EHOSTUNREACH, errno.ECONNRESET}:
                    return Sent.GONE
                raise
        return Sent.TAKEN

    def requests(self, exchange_name: str) -> dict[bytes, Request]:
        """Take in what has arrived; return each connection's newest request. Does not block.

        A request holds all that the ones before it said.
        """
        with self._lock:
            self._take_in_all()
            inbox, self._inboxes[exchange_name] = self._inboxes[exchange_name], {}
            return inbox

    def idle(self, exchange_name: str, seconds: float) -> None:
        """Return when something may have arrived, after ``seconds`` at the latest."""
        with self._lock:
            self._take_in_all()
            if self._inboxes[exchange_name]:
                return
        if len(self._inboxes) > 1:
            seconds = min(seconds, _SHARED_PAUSE)
        self._poll(seconds)

    @property
    def refused(self) -> int:
        """How many CURVE keys were refused."""
        return self._admission.refused if self._admission is not None else 0

    def _poll(self, seconds: float) -> None:
        # A poll object is used by one thread at a time; making one costs a microsecond.
        poll = select.poll()
        poll.register(self._router.fileno(), select.POLLIN)
        if self._admission is not None:
            poll.register(self._admission.socket.fileno(), select.POLLIN)
        poll.poll(max(0.0, seconds) * 1000)

    def _take_in_all(self) -> None:
        if self._admission is not None:
            self._admission.answer()
        while int(self._router.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._take_in(self._router.recv_multipart())

    def _take_in(self, frames: list[bytes]) -> None:
        if len(frames) != _FRAMES:
            return
        try:
            request = decode_request(frames[1])
        except WireError:
            return
        inbox = self._inboxes.get(request.exchange_name)
        if inbox is not None:
            inbox[frames[0]] = request

    def _admit(self, settings: EndpointSettings, exchange_name: str) -> None:
        if exchange_name in self._inboxes:
            raise ExchangeLockedError(
                f"Exchange {exchange_name!r} is open already at {self.address} in this process. "
                "Close that producer first.",
                exchange_name=exchange_name,
            )
        if _shared(settings) != _shared(self._settings):
            raise BrokerRefusedError(
                f"Exchange {exchange_name!r} cannot share {self.address} with exchange "
                f"{next(iter(self._inboxes))!r}: their CURVE keys, clients or heartbeats differ. "
                "Give one of them an address of its own, with a [producers.NAME] table and "
                'backend = "zeromq".',
                exchange_name=exchange_name,
            )
        with self._lock:
            self._inboxes[exchange_name] = {}

    def _make_admission(self, exchange_name: str, undo: ExitStack) -> Admission | None:
        secret_key = self._settings.curve_secret_key
        if secret_key is None:
            return None
        _check_keys(self._settings, secret_key, exchange_name)
        admission = Admission(self._context, self._settings.curve_clients)
        undo.callback(admission.close)
        return admission

    def _prepare_router(self) -> None:
        router = self._router
        router.linger = 0
        router.router_mandatory = True
        # The window bounds what is in flight. A high-water mark would, too, but libzmq (4.3.5)
        # aborts the process when a heartbeat ends a connection that has reached it.
        router.sndhwm = router.rcvhwm = 0
        router.maxmsgsize = MAX_REQUEST
        router.ipv6 = "[" in self.address
        set_heartbeat(router, self._settings.heartbeat)
        if self._settings.curve_secret_key is not None:
            encrypt_relay(router, self._settings.curve_secret_key)

    def _bind(self, exchange_name: str) -> None:
        try:
            self._router.bind(self.address)
        except zmq.ZMQError as error:
            if error.errno == errno.EADDRINUSE:
                raise locked(exchange_name, self.address) from error
            raise BrokerRefusedError(
                f"Exchange {exchange_name!r}: cannot listen at {self.address}: "
                f"{zmq.strerror(error.errno or 0)}. Correct `bind`: it must be an address of this "
                "machine that this user may open.",
                exchange_name=exchange_name,
            ) from error


def set_heartbeat(socket: zmq.Socket[bytes], seconds: float) -> None:
    """Let ``socket`` give a peer up that has been silent for three times ``seconds``."""
    socket.heartbeat_ivl = round(seconds * 1000)
    socket.heartbeat_timeout = round(seconds * 2000)


def locked(exchange_name: str, address: str) -> ExchangeLockedError:
    """Return the error of an address that somebody else has."""
    return ExchangeLockedError(
        f"Exchange {exchange_name!r}: {address} is taken, by another relay or another program. "
        "One relay at a time listens there: stop the other, or give this exchange another `bind`.",
        exchange_name=exchange_name,
    )


def _check_keys(settings: EndpointSettings, secret_key: SecretStr, exchange_name: str) -> None:
    if settings.curve_public_key not in {None, public_key_of(secret_key)}:
        raise BrokerRefusedError(
            f"Exchange {exchange_name!r}: curve_public_key does not belong to curve_secret_key. "
            "Take it out, or give the public half of the same pair.",
            exchange_name=exchange_name,
        )


def _shared(settings: EndpointSettings) -> tuple[object, ...]:
    return (settings.curve_secret_key, settings.curve_clients, settings.heartbeat)
