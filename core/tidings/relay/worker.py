"""Keeps every exchange going, each in a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

from tidings.errors import LeaseHeldError
from tidings.relay.exchange_relay import ExchangeRelay
from tidings.relay.second_try import is_asked, send_again
from tidings.relay.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import Hold
    from tidings.relay.route import Route

log = logging.getLogger(__name__)

SHORTEST_PAUSE = 0.005
LONGEST_WAIT = 0.5
STANDBY_PAUSE = 1.0
LAST_FLUSH = 3.0
LAST_JOIN = 4.5
LOOK_FOR_RETRIES = 2.0

_STOP = object()


class Worker:
    """Relays several exchanges until it is told to stop.

    A dead broker, or a lost database, of one exchange never delays another. Whatever fails is
    logged once and tried again, for ever. Where another relay holds an exchange, this one stands
    by.

    **Stopping.** :meth:`stop` may be called from any thread and from a signal handler: each
    exchange finishes the batch in hand, tracks it and gives its lease back; what a dead broker has
    not accepted within seconds is left for the next start.
    """

    def __init__(
        self, routes: Sequence[Route], *, poll_seconds: float = 0.1, limit: int | None = None
    ) -> None:
        self._stopping = threading.Event()
        # Not the event itself: a signal handler that sets it while its own thread is inside its
        # lock would wait for ever. This queue's `put` may be called from anywhere.
        self._news: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._exchanges = [
            _ExchangeWorker(route, self._stopping, poll_seconds, limit) for route in routes
        ]

    def run(self) -> None:
        """Work until :meth:`stop`, or until every exchange has had its ``limit``. Once only."""
        threads = [
            threading.Thread(
                target=self._run_exchange,
                args=[exchange],
                name=f"tidings-{exchange.name}",
                daemon=True,
            )
            for exchange in self._exchanges
        ]
        for thread in threads:
            thread.start()
        running = len(threads)
        while running and self._news.get() is not _STOP:
            running -= 1
        self._stopping.set()
        _join(threads)

    def stop(self) -> None:
        """Ask every exchange to finish. Returns at once; idempotent."""
        self._news.put(_STOP)

    def _run_exchange(self, exchange: _ExchangeWorker) -> None:
        try:
            exchange.run()
        finally:
            self._news.put(exchange)


def _join(threads: Sequence[threading.Thread]) -> None:
    deadline = time.monotonic() + LAST_JOIN
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
        if thread.is_alive():
            log.warning(
                "%s did not finish in time; what its broker has not accepted is sent at the next "
                "start",
                thread.name.removeprefix("tidings-"),
            )


class _ExchangeWorker:
    """One exchange's thread."""

    def __init__(
        self, route: Route, stopping: threading.Event, poll_seconds: float, limit: int | None
    ) -> None:
        self.name = route.exchange_name
        self._route = route
        self._relay = ExchangeRelay(route)
        self._stopping = stopping
        self._poll_seconds = poll_seconds
        self._limit = limit
        self._done = 0
        self._trouble = Trouble(route.exchange_name, route.observers)
        self._held: Hold | None = None
        self._looked = 0.0

    def run(self) -> None:
        while not self._finished():
            try:
                self._work()
            except LeaseHeldError as error:
                self._trouble.standing_by(error)
                self._stopping.wait(STANDBY_PAUSE)
            except Exception as error:  # noqa: BLE001 - a plugin's fault must not end the exchange
                self._stopping.wait(self._trouble.failed(error))

    def _finished(self) -> bool:
        return self._stopping.is_set() or (self._limit is not None and self._done >= self._limit)

    def _work(self) -> None:
        send_again(self._route, self._relay.owner)
        relay = self._relay
        relay.start()
        try:
            self._carry()
            relay.flush(LAST_FLUSH if self._stopping.is_set() else None)
        finally:
            relay.stop()
            self._done += relay.accepted_count

    def _carry(self) -> None:
        relay, pause = self._relay, SHORTEST_PAUSE
        while not self._stopping.is_set():
            remaining = None if self._limit is None else self._limit - self._done - relay.sent_count
            if remaining == 0 or self._is_asked_to_retry():
                return
            if relay.accepted_count:
                self._trouble.over()
            if relay.step(remaining):
                pause = SHORTEST_PAUSE
            elif relay.in_flight:
                relay.flush()
            else:
                self._trouble.over()
                self._tell_hold()
                self._idle(pause)
                # A wake-up that brings nothing (a gap, say) is followed by ever longer pauses too.
                silent = self._listen() is False
                pause = SHORTEST_PAUSE if silent else min(pause * 2, self._poll_seconds)

    def _idle(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            self._relay.idle(min(left, LONGEST_WAIT))

    def _listen(self) -> bool | None:
        """Let the event store wake us, where it can, before we look by ourselves."""
        until = time.monotonic() + self._poll_seconds
        while not self._stopping.is_set():
            left = until - time.monotonic()
            came = self._route.event_store.wait(min(left, LONGEST_WAIT))
            if came is not False or left <= LONGEST_WAIT:
                return came
            self._relay.idle(SHORTEST_PAUSE)
        return False

    def _is_asked_to_retry(self) -> bool:
        """Return whether events in quarantine are to be sent again, by the next :meth:`_work`."""
        if time.monotonic() - self._looked < LOOK_FOR_RETRIES:
            return False
        self._looked = time.monotonic()
        return is_asked(self._route)

    def _tell_hold(self) -> None:
        hold = self._route.event_store.hold()
        if hold is not None and (self._held is None or self._held.missing_id != hold.missing_id):
            log.info(
                "%s: waiting for event %d, which %s may still commit",
                self.name,
                hold.missing_id,
                hold.holder,
            )
            self._route.observers.held(self.name, hold)
        self._held = hold
