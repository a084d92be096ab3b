"""One STOMP connection, used from one thread.

stomp.py receives in a thread of its own and calls a listener; the listener only puts what came
into a queue, which the caller reads.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from tidings.plugins import BrokerRefusedError, DeliveryError
from tidings_activemq import frames
from tidings_activemq.arrivals import Arrival, Arrivals
from tidings_activemq.failures import Failures
from tidings_activemq.stomp_client import StompClient
from tidings_activemq.transport import targets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings_activemq.settings import ActiveMQSettings
    from tidings_activemq.transport import Target

GOODBYE = 1.0
_LAST_WORDS = 0.5


class _Attempt(NamedTuple):
    """One that failed."""

    place: str
    failures: Failures
    error: DeliveryError


class StompConnection:
    """Connects and logs in; sends frames; hands what arrives to the caller.

    The hosts of the URL, and the addresses that each one's name stands for, are tried in turn.
    Those that are left share the time that is left. Every method raises a
    :class:`~tidings.plugins.DeliveryError` if it fails, after which only :meth:`close` makes
    sense. In a process that was forked meanwhile every method but ``close`` is the caller's error
    (``RuntimeError``): the connection belongs to the process that opened it.
    """

    def __init__(self, settings: ActiveMQSettings, exchange_name: str) -> None:
        self.failures = Failures(exchange_name, settings.addresses)
        self._settings = settings
        self._exchange_name = exchange_name
        self._client: StompClient | None = None
        self._arrivals = Arrivals()
        self._set_aside: deque[Arrival] = deque()
        self._receipts = itertools.count(1)

    def open(self) -> None:
        """Connect and log in at the first address that will do, within ``connect_timeout``."""
        deadline = time.monotonic() + self._settings.connect_timeout
        failed, candidates = self._look_up()
        for number, target in enumerate(candidates):
            left = max(deadline - time.monotonic(), 0)
            failures = self.failures = Failures(self._exchange_name, [target.address])
            try:
                self._log_in(target, left / (len(candidates) - number))
            except DeliveryError as error:
                self._end()
                failed.append(_Attempt(str(target), failures, error))
            else:
                return
        self.failures = Failures(self._exchange_name, self._settings.addresses)
        raise self._none_will_do(failed)

    def _look_up(self) -> tuple[list[_Attempt], list[Target]]:
        failed: list[_Attempt] = []
        candidates: list[Target] = []
        for address in self._settings.addresses:
            try:
                candidates += targets(address)
            except OSError as error:
                failures = Failures(self._exchange_name, [address])
                failed.append(_Attempt(address.place, failures, failures.connecting(error)))
        return failed, candidates

    def _log_in(self, target: Target, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        self._arrivals = Arrivals()
        client = self._client = StompClient(self._settings, target, self._arrivals)
        try:
            client.start(seconds)
        except OSError as error:
            raise self.failures.connecting(error) from error
        # Not by stomp.py's connect(): it logs the password at level DEBUG.
        self.write(frames.login(self._login(target, client.heart_beat)))
        arrival = self.next(max(deadline - time.monotonic(), 0))
        if arrival is None:
            raise self.failures.connecting(TimeoutError())
        if "artemis" in arrival.headers.get("server", "").lower():
            raise self.failures.refused(
                "that is ActiveMQ Artemis, which over STOMP has neither virtual topics nor "
                "acknowledgements in transactions. This backend is for ActiveMQ Classic"
            )

    def _none_will_do(self, failed: list[_Attempt]) -> DeliveryError:
        """Return the one reason there is, or all of them; a refusal, if there is one."""
        if len(failed) == 1:
            return failed[0].error
        refused = any(isinstance(each.error, BrokerRefusedError) for each in failed)
        reasons = "; ".join(
            f"{each.place}: {each.failures.reason_of(each.error)}" for each in failed
        )
        make = self.failures.refused if refused else self.failures.unavailable
        error = make(f"none of {len(failed)} addresses will do. {reasons}")
        error.__cause__ = failed[-1].error
        return error

    def write(self, data: bytes) -> None:
        """Send whole frames; returns when the system has taken them."""
        try:
            self._connected().transport.send(data)
        except TimeoutError as error:
            raise self.failures.not_taking(self._settings.send_timeout) from error
        except OSError as error:
            # What the broker said before it closed is on its way, and says more than the socket.
            while arrival := self._take(_LAST_WORDS):
                self._set_aside.append(arrival)
            raise self.failures.lost(error) from error

    def writable(self) -> bool:
        """Say whether a small :meth:`write` would return at once."""
        return self._connected().transport.writable()

    def next(self, timeout: float) -> Arrival | None:
        """Return the next receipt or message, ``None`` if none comes within ``timeout``."""
        return self._set_aside.popleft() if self._set_aside else self._take(timeout)

    def _take(self, timeout: float) -> Arrival | None:
        self._connected()
        arrival = self._arrivals.take(timeout)
        if arrival is None:
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
        """Make sure that a queue exists just now, by a subscription that takes nothing from it."""
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
        return bool(self._set_aside) or bool(self._arrivals)

    def leftovers(self) -> list[Arrival]:
        """Return what came before a failure and was not read."""
        leftovers = list(self._set_aside)
        self._set_aside.clear()
        return leftovers

    def put_back(self, arrivals: Iterable[Arrival]) -> None:
        """Let :meth:`next` give these again, first."""
        self._set_aside.extendleft(reversed(list(arrivals)))

    def close(self, *, politely: bool = False) -> None:
        """End the connection. Never raises, leaves no thread.

        ``politely`` waits up to a second for the broker to have done all that was sent.
        """
        client = self._client
        if client is None:
            return
        if politely and client.transport.running and not client.transport.is_inherited():
            self._say_goodbye()
        self._end()

    def _end(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.end()
        self._set_aside.clear()

    def _connected(self) -> StompClient:
        if self._client is None:
            raise RuntimeError("This connection is closed.")
        if self._client.transport.is_inherited():
            raise RuntimeError(
                f"Exchange {self._exchange_name!r} was opened by another process, of which this "
                "one is a fork. Open it in the process that uses it."
            )
        return self._client

    def _say_goodbye(self) -> None:
        deadline = time.monotonic() + GOODBYE
        try:
            if not self.writable():
                return
            self.write(frames.frame("DISCONNECT", {"receipt": "goodbye"}))
            while arrival := self.next(max(deadline - time.monotonic(), 0)):
                if arrival.headers.get("receipt-id") == "goodbye":
                    return
        except Exception:  # noqa: BLE001 - it is over in any case
            return

    def _login(self, target: Target, heart_beat: str) -> dict[str, str]:
        address = target.address
        headers = {"accept-version": "1.2", "host": address.host, "heart-beat": heart_beat}
        if address.user is not None:
            headers["login"] = address.user
        if address.password is not None:
            headers["passcode"] = address.password
        return headers
