"""The one socket that all of a process's exchanges on one address share."""

from __future__ import annotations

import enum
import errno
import os
import select
import threading
from typing import TYPE_CHECKING

import zmq

from tidings.plugins import BrokerRefusedError, ExchangeLockedError
from tidings_zeromq.bound_socket import BoundSocket, set_heartbeat
from tidings_zeromq.selection import decode_selection
from tidings_zeromq.wire import MAX_REQUEST, WireError, decode_request

if TYPE_CHECKING:
    from tidings_zeromq.settings import EndpointSettings
    from tidings_zeromq.wire import Request

_SHARED_DELAY = 0.02  # seconds: another exchange's thread may take in what is ours
TURN = 1000
"""Frames that are taken in at once; then it is everybody's turn to be served."""
_KEPT_CONNECTIONS = 10_000


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

    _all: dict[tuple[int, str], Endpoint] = {}  # noqa: RUF012 - the process's, guarded by _all_lock
    _all_lock = threading.Lock()

    def __init__(self, settings: EndpointSettings, exchange_name: str) -> None:
        self.address = settings.bind
        self._settings = settings
        self._lock = threading.RLock()
        self._inboxes: dict[str, dict[bytes, Request]] = {}
        self._bound = BoundSocket(settings, zmq.ROUTER, exchange_name, self._prepare)
        self._router = self._bound.socket
        self._descriptors: dict[bytes, int] = {}
        self._more = False  # frames are left that no descriptor will tell of
        self._in_message = False

    @classmethod
    def join(cls, settings: EndpointSettings, exchange_name: str) -> Endpoint:
        """Return the process's endpoint at that address, which now serves ``exchange_name`` too.

        Raises :class:`ExchangeLockedError` if another process, or another producer of this
        one, has it.
        """
        with cls._all_lock:
            key = os.getpid(), settings.bind
            endpoint = cls._all.get(key)
            if endpoint is None:
                endpoint = cls._all[key] = cls(settings, exchange_name)
            endpoint._admit(settings, exchange_name)
            return endpoint

    def leave(self, exchange_name: str) -> None:
        """Serve ``exchange_name`` no longer; the last one out closes the socket."""
        with self._all_lock, self._lock:
            self._inboxes.pop(exchange_name, None)
            key = os.getpid(), self.address
            if not self._inboxes and self._all.get(key) is self:
                del self._all[key]
                self._bound.close()

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
            if self._inboxes[exchange_name] or self._more:
                return
        if len(self._inboxes) > 1:
            seconds = min(seconds, _SHARED_DELAY)
        self._poll(seconds)

    def cut(self, connection: bytes, why: str) -> None:
        """Cut a connection off, and say why in the log; its subscriber may come back."""
        descriptor = self._descriptors.pop(connection, None)
        if descriptor is not None:
            self._bound.guard.cut(descriptor, why)

    @property
    def refused(self) -> int:
        """How many CURVE keys were refused."""
        return self._bound.admission.refused if self._bound.admission is not None else 0

    def _poll(self, seconds: float) -> None:
        poll = select.poll()  # of our own: one is used by one thread at a time
        for descriptor in self._bound.descriptors():
            poll.register(descriptor, select.POLLIN)
        poll.poll(max(0.0, seconds) * 1000)

    def _take_in_all(self) -> None:
        if self._bound.admission is not None:
            self._bound.admission.answer()
        left = TURN
        while left > 0 and int(self._router.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            left -= self._take_in(left)
        self._more = left <= 0

    def _take_in(self, limit: int) -> int:
        """Take in one message, ``limit`` of its frames at most; return how many those were.

        A request is one frame. Whatever has more is read away, without being kept.
        """
        if self._in_message:
            return self._read_away(limit)
        connection = self._router.recv()
        stranger: zmq.Frame | None = None
        if connection in self._descriptors:
            frame = self._router.recv()
        else:
            stranger = self._router.recv(copy=False)  # it knows whence it came
            frame = stranger.bytes
        if self._router.getsockopt(zmq.RCVMORE):
            self._in_message = True
            return 2 + self._read_away(limit)
        try:
            request = decode_request(frame)
            decode_selection(request.selection)
        except WireError:
            return 2
        inbox = self._inboxes.get(request.exchange_name)
        if inbox is not None:
            inbox[connection] = request
            if stranger is not None:
                self._introduce(connection, int(stranger.get(zmq.SRCFD)), request.name)
        return 2

    def _read_away(self, limit: int) -> int:
        for count in range(1, limit + 1):
            self._router.recv()
            if not self._router.getsockopt(zmq.RCVMORE):
                self._in_message = False
                return count
        return limit

    def _introduce(self, connection: bytes, descriptor: int, name: str) -> None:
        if len(self._descriptors) >= _KEPT_CONNECTIONS:
            self._descriptors.clear()  # those that still ask are noted again
        self._descriptors[connection] = descriptor
        self._bound.guard.introduce(descriptor, name)

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
                f"{next(iter(self._inboxes))!r}: their CURVE keys, clients, heartbeats or "
                "max_connections differ. "
                "Give one of them an address of its own, with a [producers.NAME] table and "
                'backend = "zeromq".',
                exchange_name=exchange_name,
            )
        with self._lock:
            self._inboxes[exchange_name] = {}

    def _prepare(self, router: zmq.Socket[bytes]) -> None:
        router.linger = 0
        router.router_mandatory = True
        # The window bounds what is in flight. A high-water mark would, too, but libzmq (4.3.5)
        # aborts the process when a heartbeat ends a connection that has reached it.
        router.sndhwm = router.rcvhwm = 0
        router.maxmsgsize = MAX_REQUEST
        set_heartbeat(router, self._settings.heartbeat)


def _shared(settings: EndpointSettings) -> tuple[object, ...]:
    return (
        settings.curve_secret_key,
        settings.curve_clients,
        settings.heartbeat,
        settings.max_connections,
    )
