"""One open exchange: takes events, and serves the subscribers while somebody waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.plugins import BrokerUnavailableError, OpenExchange
from tidings_zeromq.endpoint import Endpoint
from tidings_zeromq.event_wire import encode_event
from tidings_zeromq.failures import undeliverable
from tidings_zeromq.pipeline import Pipeline
from tidings_zeromq.selection import traits_of
from tidings_zeromq.supply import FRAME_EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.plugins import ExchangeContext, Notification, ProducerContext
    from tidings_zeromq.settings import ZeroMQSettings


class OpenZeroMQExchange(OpenExchange):
    """Publishes to one exchange, to whoever connects to its endpoint."""

    longest_silence = 0.05  # a subscriber that wants to join waits for as long

    def __init__(
        self, settings: ZeroMQSettings, context: ExchangeContext, event_store: ProducerContext
    ) -> None:
        self._exchange_name = context.exchange_name
        self._no_progress_timeout = settings.no_progress_timeout
        self._serve_every = min(FRAME_EVENTS, max(1, settings.window // 4))
        self._unserved = 0
        self._endpoint = Endpoint.join(settings, context.exchange_name)
        self._pipeline = Pipeline(self._endpoint, settings, context, event_store)

    def connected(self) -> list[str]:
        """Return the names of the subscribers that are served, one for each connection.

        As it was when the exchange was last used. One that is gone is left out once an event was
        sent to it, or some seconds later.
        """
        return self._pipeline.connected()

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        """Take events to be sent; they go out with those around them, and with the next wait.

        Blocks while ``window`` events wait for acknowledgement.
        """
        pipeline = self._pipeline
        recent = pipeline.recent
        for notification in notifications:
            try:
                event = encode_event(*notification)
            except ValueError as error:
                raise undeliverable(self._exchange_name, notification.event_id, error) from error
            if recent.full:
                self._serve_until(lambda: not recent.full, None)
            pipeline.send(notification.event_id, event, traits_of(notification.message))
            self._unserved += 1
            if self._unserved >= self._serve_every:
                self._unserved = 0
                pipeline.serve()

    @override
    def flush(self, timeout: float | None = None) -> None:
        """Return when every required subscriber has acknowledged everything sent."""
        self._serve_until(lambda: not self._pipeline.recent.unaccepted, timeout)

    @override
    def accepted_id(self) -> int | None:
        """Return the newest event that every required subscriber has acknowledged."""
        return self._pipeline.accepted_id

    @override
    def wait(self, seconds: float) -> None:
        """Serve subscribers for up to ``seconds``, or until all that are required have all."""
        deadline = time.monotonic() + seconds
        recent = self._pipeline.recent
        owed = recent.unaccepted
        while True:
            delay = self._pipeline.serve()
            if recent.unaccepted:
                delay = min(delay, self._time_left())
            left = deadline - time.monotonic()
            if left <= 0 or (owed and not recent.unaccepted):
                return
            self._endpoint.idle(self._exchange_name, min(delay, left))

    @override
    def close(self) -> None:
        """Hang up; subscribers come back by themselves when the exchange is opened again."""
        self._endpoint.leave(self._exchange_name)

    def _serve_until(self, done: Callable[[], bool], timeout: float | None) -> None:
        started = time.monotonic()
        while True:
            delay = self._pipeline.serve()
            if done():
                return
            self._endpoint.idle(self._exchange_name, min(delay, self._time_left(started, timeout)))

    def _time_left(self, started: float = 0.0, timeout: float | None = None) -> float:
        """Return how long to wait on for acknowledgements; raise when it has been long enough.

        That is ``timeout`` after ``started``. Without one it is the no-progress time, which has
        begun before the call perhaps, and in which the event store is not waited for.
        """
        pipeline = self._pipeline
        behind = pipeline.behind()
        name = min(behind, key=behind.__getitem__)
        since, limit, now = behind[name], self._no_progress_timeout, pipeline.clock()
        if timeout is not None:
            since, limit, now = started, timeout, time.monotonic()
        left = since + limit - now
        if left > 0:
            return left
        first = pipeline.recent.first_unaccepted_id
        raise BrokerUnavailableError(
            f"Exchange {self._exchange_name!r}: the required subscriber {name!r} has not "
            f"acknowledged event {first} for {limit:g} s; {pipeline.describe(name)}.",
            exchange_name=self._exchange_name,
            event_id=first,
        )
