"""One STOMP session, used from one thread.

stomp.py receives in a thread of its own and calls a listener; the listener only puts what came
into a queue, which the caller reads.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from stomp.connect import BaseConnection
from stomp.listener import ConnectionListener
from stomp.protocol import Protocol12

from tidings_activemq import frames
from tidings_activemq.failures import Failures
from tidings_activemq.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tidings_activemq.settings import ActiveMQSettings

_GOODBYE = 1.0
_LAST_WORDS = 0.5
_THREAD_END = 2.0


class Arrival(NamedTuple):
    """A frame from the broker, or word that there will be no more (``kind`` is ``"lost"``)."""

    kind: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """Connects and logs in; sends frames; hands what arrives to the caller.

    Every method raises a :class:`~tidings.plugins.DeliveryError` where it fails, after which only
    :meth:`close` makes sense.
    """

    def __init__(self, settings: ActiveMQSettings, exchange_name: str) -> None:
        self.failures = Failures(exchange_name, settings.address)
        self._settings = settings
        self._transport = Transport(settings)
        milliseconds = round(settings.heartbeat * 1000)
        self._session = _Session(self._transport, milliseconds)
        self._arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        self._set_aside: deque[Arrival] = deque()
        self._receipts = itertools.count(1)
        self._transport.set_listener("arrivals", _Arrivals(self._arrivals))
        self._transport.override_threading(self._start_receiver)
        self._receiver: threading.Thread | None = None

    def open(self) -> None:
        """Connect and log in, within ``connect_timeout``."""
        deadline = time.monotonic() + self._settings.connect_timeout
        try:
            self._transport.start()
        except OSError as error:
            self._transport.running = False
            raise self.failures.connecting(error) from error
        # Not by stomp.py's connect(): it logs the password at level DEBUG.
        self.write(frames.login(self._login()))
        arrival = self.next(max(deadline - time.monotonic(), 0))
        if arrival is None:
            raise self.failures.connecting(TimeoutError())

    def write(self, data: bytes) -> None:
        """Send whole frames; returns when the system has taken them."""
        try:
            self._transport.send(data)
        except TimeoutError as error:
            raise self.failures.not_taking(self._settings.send_timeout) from error
        except OSError as error:
            # What the broker said before it closed is on its way, and says more than the socket.
            while arrival := self._take(_LAST_WORDS):
                self._set_aside.append(arrival)
            raise self.failures.lost(error) from error

    def writable(self) -> bool:
        """Say whether a small :meth:`write` would return at once."""
        return self._transport.writable()

    def next(self, timeout: float) -> Arrival | None:
        """Return the next receipt or message, ``None`` when none comes within ``timeout``."""
        return self._set_aside.popleft() if self._set_aside else self._take(timeout)

    def _take(self, timeout: float) -> Arrival | None:
        try:
            arrival = self._arrivals.get(timeout > 0, timeout if timeout > 0 else None)
        except queue.Empty:
            return None
        if arrival.kind == "error":
            raise self.failures.error_frame(arrival.headers.get("message", ""), arrival.body)
        if arrival.kind == "lost":
            raise self.failures.lost()
        return arrival

    def new_receipt(self) -> str:
        """Return an id for a receipt that nobody else on this connection asks for."""
        return f"r{next(self._receipts)}"

    def request(self, command: str, headers: dict[str, str | int]) -> None:
        """Send a frame and wait for its receipt; messages that come before it are kept."""
        receipt = self.new_receipt()
        self.write(frames.frame(command, {**headers, "receipt": receipt}))
        self.await_receipt(receipt)

    def await_receipt(self, receipt: str) -> None:
        """Wait for a receipt; what else comes before it is kept for :meth:`next`."""
        deadline = time.monotonic() + self._settings.no_progress_timeout
        kept: list[Arrival] = []
        while (arrival := self.next(max(deadline - time.monotonic(), 0))) is not None:
            if arrival.kind == "receipt" and arrival.headers.get("receipt-id") == receipt:
                self.put_back(kept)
                return
            kept.append(arrival)
        raise self.failures.not_answering(self._settings.no_progress_timeout)

    def make_queue(self, destination: str) -> None:
        """Make sure that a queue exists, by a subscription that takes nothing from it."""
        headers: dict[str, str | int] = {
            "id": "maker",
            "destination": destination,
            "ack": "client-individual",
            "activemq.prefetchSize": 0,
        }
        self.request("SUBSCRIBE", headers)
        self.request("UNSUBSCRIBE", {"id": "maker"})

    def has_arrivals(self) -> bool:
        """Say whether :meth:`next` would return, or raise, at once."""
        return bool(self._set_aside) or not self._arrivals.empty()

    def leftovers(self) -> list[Arrival]:
        """Return what came before a failure and was not read."""
        leftovers = list(self._set_aside)
        self._set_aside.clear()
        return leftovers

    def put_back(self, arrivals: Iterable[Arrival]) -> None:
        """Let :meth:`next` give these again, first."""
        self._set_aside.extendleft(reversed(list(arrivals)))

    def close(self, *, politely: bool = False) -> None:
        """End the session. Never raises, leaves no thread.

        ``politely`` waits up to a second for the broker to have done all that was sent.
        """
        if politely and self._transport.running:
            self._say_goodbye()
        self._transport.disconnect_socket()
        for thread in (self._receiver, self._session.end_heartbeat()):
            if thread is not None:
                thread.join(_THREAD_END)
        self._transport.cleanup()

    def _start_receiver(self, receive: Callable[[], None]) -> threading.Thread:
        self._receiver = threading.Thread(target=receive, name="tidings-activemq", daemon=True)
        self._receiver.start()
        return self._receiver

    def _say_goodbye(self) -> None:
        deadline = time.monotonic() + _GOODBYE
        try:
            if not self.writable():
                return
            self.write(frames.frame("DISCONNECT", {"receipt": "goodbye"}))
            while arrival := self.next(max(deadline - time.monotonic(), 0)):
                if arrival.headers.get("receipt-id") == "goodbye":
                    return
        except Exception:  # noqa: BLE001 - it is over in any case
            return

    def _login(self) -> dict[str, str]:
        address = self._settings.address
        beat = round(self._settings.heartbeat * 1000)
        headers = {"accept-version": "1.2", "host": address.host, "heart-beat": f"{beat},{beat}"}
        if address.user is not None:
            headers["login"] = address.user
        if address.password is not None:
            headers["passcode"] = address.password
        return headers


class _Session(BaseConnection, Protocol12):  # type: ignore[misc]  # stomp.py has no types
    """stomp.py's protocol, for its heartbeats."""

    def __init__(self, transport: Transport, heartbeat: int) -> None:
        BaseConnection.__init__(self, transport)
        Protocol12.__init__(self, transport, heartbeats=(heartbeat // 2, heartbeat))

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


class _Arrivals(ConnectionListener):  # type: ignore[misc]  # stomp.py has no types
    """Puts what stomp.py's thread receives into the caller's queue."""

    def __init__(self, arrivals: queue.SimpleQueue[Arrival]) -> None:
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
