"""One open exchange: waits for the broker, and tells what went wrong."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from typing_extensions import override

from tidings.plugins import DeliveryError, OpenExchange, UndeliverableEventError
from tidings_activemq.failures import StalledError, TooLargeError
from tidings_activemq.memory import Memory
from tidings_activemq.pipeline import Pipeline
from tidings_activemq.subscriber_queues import SubscriberQueues
from tidings_activemq.token import Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidings.plugins import Accepted, ExchangeContext, Notification
    from tidings_activemq.connection import StompConnection
    from tidings_activemq.settings import ActiveMQSettings

_LOOK = 5.0
"""Seconds after which an idle exchange looks whether its token, or its queues, are old."""


class OpenActiveMQExchange(OpenExchange):
    """Publishes to one exchange over one connection, until something fails."""

    longest_silence = 2.0  # its heartbeats come from a thread of their own

    def __init__(
        self, settings: ActiveMQSettings, context: ExchangeContext, connection: StompConnection
    ) -> None:
        self._settings = settings
        self._exchange_name = context.exchange_name
        self._connection = connection
        self._memory = Memory.kept_in(context.memory, settings.batch_bytes)
        queues, token = None, None
        if settings.destination is None:
            queues = SubscriberQueues(connection, settings, context)
            queues.open()
        if settings.token:
            token = Token(connection, context, settings.token_timeout, self._memory)
            token.take()
        self._pipeline = Pipeline(
            connection, settings, context, self._memory, queues=queues, token=token
        )
        self._failure: Exception | None = None
        self._failure_told = False

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        """Add events to a transaction; blocks while ``window`` events are in flight."""
        self._raise_failure()
        with self._ending_at_failure():
            self._take_in()
        for notification in notifications:
            encoded = self._pipeline.encode(notification)  # if it raises, nothing else has failed
            try:
                self._add(encoded, notification)
            except Exception as error:  # noqa: BLE001 - a context manager would cost each event
                self._end_at(error)

    def _add(self, encoded: bytes, notification: Notification) -> None:
        pipeline = self._pipeline
        while pipeline.is_full:
            self._await_something(math.inf)
        pipeline.add(encoded, notification)
        while pipeline.goes_alone(notification.event_id) and pipeline.unaccepted:
            self._await_something(math.inf)

    @override
    def flush(self, timeout: float | None = None) -> None:
        """Commit what there is, and return when the broker has given all receipts."""
        self._raise_failure()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        with self._ending_at_failure():
            self._pipeline.write_current()
            while self._pipeline.unaccepted:
                self._await_something(deadline)

    @override
    def accepted_id(self) -> int | None:
        """Return the last id of the last transaction whose receipt has come, in order.

        Takes in what has come, without waiting; a failure is kept for the next call.
        """
        if self._failure is None and self._connection.writable():
            try:
                with self._ending_at_failure():
                    self._take_in()
                    self._pipeline.write_if_due()
            except DeliveryError:
                self._failure_told = False
        return self._pipeline.accepted_id

    @override
    def most_recent_accepted(self) -> Accepted | None:
        """Return the event that the token named when it was taken, or what was accepted since."""
        return self._pipeline.newest

    @override
    def wait(self, seconds: float) -> None:
        """Pass ``seconds``, or less if the last receipt comes meanwhile.

        A lost connection is noticed at once, a silent broker by heartbeats.
        """
        self._raise_failure()
        deadline = time.monotonic() + seconds
        pipeline = self._pipeline
        with self._ending_at_failure():
            pipeline.write_current()
            owed = pipeline.unaccepted
            while True:
                pipeline.keep_young()
                self._take_next(min(max(deadline - time.monotonic(), 0.0), _LOOK))
                if time.monotonic() >= deadline or (owed and not pipeline.unaccepted):
                    return

    @override
    def close(self) -> None:
        """Give the token back and disconnect. What was not accepted may still be."""
        self._connection.close(politely=self._failure is None and not self._pipeline.unaccepted)

    def _take_in(self) -> None:
        while self._connection.has_arrivals():
            if arrival := self._connection.next(0):
                self._pipeline.take(arrival)

    def _await_something(self, deadline: float) -> None:
        if not self._take_next(deadline - time.monotonic()) and time.monotonic() >= deadline:
            raise self._connection.failures.unavailable(
                f"{self._pipeline.unaccepted} event(s), from {self._pipeline.unaccepted_ids[0]} "
                "on, were not accepted within the time that was given for it"
            )

    def _take_next(self, seconds: float) -> bool:
        """Take in the next that comes within ``seconds``; false if nothing came."""
        arrival = self._connection.next(min(seconds, self._pipeline.patience()))
        if arrival is not None:
            self._pipeline.take(arrival)
        elif self._pipeline.patience() <= 0:
            raise self._connection.failures.not_answering(self._settings.no_progress_timeout)
        return arrival is not None

    @contextmanager
    def _ending_at_failure(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised there, perhaps explained
            self._end_at(error)

    def _end_at(self, error: Exception) -> NoReturn:
        """Take in what the broker said last, and raise what ended the connection."""
        for arrival in self._connection.leftovers():
            if arrival.kind == "receipt":
                self._pipeline.accept(arrival)
        self._failure, self._failure_told = self._explained(error), True
        if self._failure is error:
            raise error
        raise self._failure from error

    def _explained(self, error: Exception) -> Exception:
        """Return the error, with what is known of our own events that may be its cause."""
        if isinstance(error, TooLargeError):
            return self._too_large(error)
        return self._stalled(error) if isinstance(error, StalledError) else error

    def _too_large(self, error: TooLargeError) -> DeliveryError:
        """Return the error that names the event; ``error`` itself while it may be one of several.

        Those are sent one by one then.
        """
        ids = self._pipeline.ids_in_flight
        if len(ids) > 1:
            self._memory.one_by_one_until = ids[-1]
            return error
        return UndeliverableEventError(
            f"Event {ids[0]} cannot be sent: {error}",
            exchange_name=self._exchange_name,
            event_id=ids[0],
        )

    def _stalled(self, error: StalledError) -> DeliveryError:
        """Return the error that says what is tried next; ``error`` if no event was in flight."""
        in_flight = self._pipeline.stalled()
        if not in_flight:
            return error
        return self._connection.failures.unavailable(
            f"{error.reason} The broker counts what isn't committed against its limits: "
            f"{in_flight} event(s) were in flight, and transactions of "
            f"about {self._memory.pace.bytes:,} bytes are tried next. If that helps, let "
            "batch_bytes say so"
        )

    def _raise_failure(self) -> None:
        if self._failure is None:
            return
        if not self._failure_told:
            self._failure_told = True
            raise self._failure
        raise self._connection.failures.unavailable(
            "its connection was given up after an error. Close the exchange and open it again"
        ) from self._failure
