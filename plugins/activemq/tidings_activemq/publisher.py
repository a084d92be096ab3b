"""One open exchange: events in transactions, several of them under way at once.

A transaction's events are written as soon as it is full. Its end (the next token, the
acknowledgement of the last one, COMMIT) follows when the last token is in our hands, which is
when the transaction before has been committed; the broker meanwhile takes in the next events.
Without a token the end follows at once.
"""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidings.plugins import DeliveryError, UndeliverableEventError
from tidings_activemq import destinations, frames
from tidings_activemq.connection import Connection
from tidings_activemq.failures import TooLargeError
from tidings_activemq.token import Token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tidings.plugins import NotificationMessage
    from tidings_activemq.connection import Arrival
    from tidings_activemq.settings import ActiveMQSettings

_LINGER = 0.02
"""Seconds after which a transaction into which nothing more is sent is committed."""


@dataclass(slots=True)
class _Transaction:
    name: str
    frames: list[bytes] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    begun: float = 0.0
    receipt: str | None = None
    """The receipt that its COMMIT asked for; none while it waits for the token."""


class Publisher:
    """Publishes to one exchange over one connection, until something fails.

    ``one_by_one_until`` is the last of the events among which one is too large for the broker:
    those get a transaction each, so that it is certain which one it is.
    """

    def __init__(
        self, settings: ActiveMQSettings, exchange_name: str, one_by_one_until: int = 0
    ) -> None:
        self.accepted_id: int | None = None
        self._id_when_opened: int | None = None
        self._token_id = 0
        self.one_by_one_until = one_by_one_until
        self._settings = settings
        self._exchange_name = exchange_name
        self._connection = Connection(settings, exchange_name)
        self._token: Token | None = None
        self._encoder = frames.EventFrames(
            exchange_name, settings.destination or destinations.topic(exchange_name)
        )
        self._transactions = 0
        self._current = self._begin()
        self._under_way: deque[_Transaction] = deque()
        self._unaccepted = 0
        self._progress = 0.0
        self._failure: Exception | None = None
        self._failure_told = False

    def open(self, generation: int) -> None:
        """Connect, make sure of the subscribers' queues, and take the token."""
        self._connection.open()
        if self._settings.destination is None:
            for subscriber in self._settings.subscribers:
                self._connection.make_queue(
                    destinations.subscriber_queue(self._exchange_name, subscriber)
                )
        if self._settings.token:
            self._token = Token(
                self._connection, self._exchange_name, generation, self._settings.token_timeout
            )
            self._id_when_opened = self._token.take()
            self._token_id = self._id_when_opened or 0

    @property
    def newest_id(self) -> int | None:
        """The newest id that the broker holds from us, now or from before."""
        return self.accepted_id or self._id_when_opened

    def send(
        self, message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
    ) -> None:
        """Add an event to the current transaction; write it out when it is full."""
        self._raise_failure()
        current = self._current
        encoded = self._encoder.encode(current.name, message, type_name, event_id, occurred_on)
        with self._ending_at_failure():
            self._take_in()
            while self._unaccepted >= self._settings.window:
                self._await_something(math.inf)
            if not current.ids:
                current.begun = time.monotonic()
            current.frames.append(encoded)
            current.ids.append(event_id)
            self._unaccepted += 1
            if self._is_due(event_id):
                self._write_current()
            while event_id <= self.one_by_one_until and self._unaccepted:
                self._await_something(math.inf)

    def flush(self, timeout: float | None) -> None:
        """Commit what there is, and wait until all is accepted."""
        self._raise_failure()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        with self._ending_at_failure():
            self._write_current()
            while self._unaccepted:
                self._await_something(deadline)

    def wait(self, seconds: float) -> None:
        """Pass the time, taking in what the broker says; keep the token young."""
        self._raise_failure()
        deadline = time.monotonic() + seconds
        with self._ending_at_failure():
            self._write_current()
            while (left := deadline - time.monotonic()) > 0:
                if self._token is not None and not self._under_way and self._token.is_old():
                    self._write(self._begin())
                arrival = self._connection.next(min(left, self._patience()))
                if arrival is not None:
                    self._handle(arrival)
                elif self._patience() <= 0:
                    raise self._not_answering()

    def poll(self) -> None:
        """Take in what has come, without waiting; a failure is kept for the next call."""
        if self._failure is not None or not self._connection.writable():
            return
        try:
            with self._ending_at_failure():
                self._take_in()
                if self._current.ids and self._is_due(self._current.ids[-1]):
                    self._write_current()
        except DeliveryError:
            self._failure_told = False

    def close(self) -> None:
        """Let go; never raises."""
        self._connection.close(politely=self._failure is None and not self._unaccepted)

    def _is_due(self, event_id: int) -> bool:
        current = self._current
        return (
            len(current.ids) >= self._settings.batch_size
            or event_id <= self.one_by_one_until
            or time.monotonic() - current.begun > _LINGER
        )

    def _begin(self) -> _Transaction:
        self._transactions += 1
        return _Transaction(f"t{self._transactions}")

    def _write_current(self) -> None:
        if self._current.ids:
            full, self._current = self._current, self._begin()
            self._write(full)

    def _write(self, transaction: _Transaction) -> None:
        if not self._under_way:
            self._progress = time.monotonic()
        waits = any(earlier.receipt is None for earlier in self._under_way)
        self._under_way.append(transaction)
        parts = [frames.frame("BEGIN", {"transaction": transaction.name}), *transaction.frames]
        transaction.frames.clear()
        if not waits and self._may_commit():
            parts.append(self._end_of(transaction))
        self._connection.write(b"".join(parts))

    def _may_commit(self) -> bool:
        return self._token is None or self._token.is_held()

    def _end_of(self, transaction: _Transaction) -> bytes:
        transaction.receipt = self._connection.new_receipt()
        headers = {"transaction": transaction.name, "receipt": transaction.receipt}
        commit = frames.frame("COMMIT", headers)
        if self._token is None:
            return commit
        # An event that was in quarantine may come after newer ones; the token never goes back.
        self._token_id = max(self._token_id, *transaction.ids[-1:], 0)
        return self._token.moves_to(self._token_id, transaction.name) + commit

    def _take_in(self) -> None:
        while self._connection.has_arrivals():
            if arrival := self._connection.next(0):
                self._handle(arrival)

    def _await_something(self, deadline: float) -> None:
        arrival = self._connection.next(min(self._patience(), deadline - time.monotonic()))
        if arrival is not None:
            self._handle(arrival)
        elif self._patience() <= 0:
            raise self._not_answering()
        elif time.monotonic() >= deadline:
            raise self._connection.failures.unavailable(
                f"{self._unaccepted} event(s), from {self._first_unaccepted()} on, were not "
                "accepted within the time that was given for it"
            )

    def _handle(self, arrival: Arrival) -> None:
        if arrival.kind == "receipt":
            self._accept(arrival.headers["receipt-id"])
        elif self._token is not None and arrival.kind == "message":
            self._token.arrived(arrival)
            waiting = next((t for t in self._under_way if t.receipt is None), None)
            if waiting is not None and self._may_commit():
                self._connection.write(self._end_of(waiting))

    def _accept(self, receipt: str) -> None:
        # The broker works off one connection's commits in their order.
        if self._under_way and self._under_way[0].receipt == receipt:
            accepted = self._under_way.popleft()
            if accepted.ids:
                self.accepted_id = accepted.ids[-1]
            self._unaccepted -= len(accepted.ids)
            self._progress = time.monotonic()

    def _patience(self) -> float:
        if not self._under_way:
            return math.inf
        return self._progress + self._settings.no_progress_timeout - time.monotonic()

    def _not_answering(self) -> DeliveryError:
        return self._connection.failures.not_answering(self._settings.no_progress_timeout)

    def _unaccepted_ids(self) -> list[int]:
        return [i for t in (*self._under_way, self._current) for i in t.ids]

    def _first_unaccepted(self) -> int:
        return self._unaccepted_ids()[0]

    @contextmanager
    def _ending_at_failure(self) -> Iterator[None]:
        try:
            yield
        except TooLargeError as error:
            self._end(error)
            ids = [i for t in self._under_way for i in t.ids]
            if len(ids) > 1:
                self.one_by_one_until = ids[-1]
                raise
            raise UndeliverableEventError(
                f"Event {ids[0]} cannot be sent: {error}",
                exchange_name=self._exchange_name,
                event_id=ids[0],
            ) from error
        except Exception as error:
            self._end(error)
            raise

    def _end(self, error: Exception) -> None:
        self._failure, self._failure_told = error, True
        for arrival in self._connection.leftovers():
            if arrival.kind == "receipt":
                self._accept(arrival.headers["receipt-id"])

    def _raise_failure(self) -> None:
        if self._failure is None:
            return
        if not self._failure_told:
            self._failure_told = True
            raise self._failure
        raise self._connection.failures.unavailable(
            "its connection was given up after an error. Close the exchange and open it again"
        ) from self._failure
