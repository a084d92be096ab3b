"""Keeps every exchange going, each in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from tidings.errors import LeaseHeldError, LeaseLostError, TidingsError
from tidings.relay.exchange_relay import ExchangeRelay
from tidings.relay.lease_keeper import LeaseKeeper
from tidings.relay.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import Hold
    from tidings.relay.exchange_relay import Route

log = logging.getLogger(__name__)

SHORTEST_PAUSE = 0.005
STANDBY_PAUSE = 1.0
LAST_FLUSH = 3.0
LAST_JOIN = 4.5


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
        self._exchanges = [
            _ExchangeWorker(route, self._stopping, poll_seconds, limit) for route in routes
        ]

    def run(self) -> None:
        """Work until :meth:`stop`, or until every exchange has had its ``limit``."""
        threads = [
            threading.Thread(target=exchange.run, name=f"tidings-{exchange.name}", daemon=True)
            for exchange in self._exchanges
        ]
        for thread in threads:
            thread.start()
        while not self._stopping.is_set() and any(thread.is_alive() for thread in threads):
            self._stopping.wait(0.2)
        deadline = time.monotonic() + LAST_JOIN
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
            if thread.is_alive():
                log.warning(
                    "%s did not finish in time; what its broker has not accepted is sent at the "
                    "next start",
                    thread.name.removeprefix("tidings-"),
                )

    def stop(self) -> None:
        """Ask every exchange to finish. Returns at once; idempotent."""
        self._stopping.set()


class _ExchangeWorker:
    """One exchange's thread."""

    def __init__(
        self, route: Route, stopping: threading.Event, poll_seconds: float, limit: int | None
    ) -> None:
        self.name = route.exchange_name
        self._route = route
        self._relay = ExchangeRelay(route, LeaseKeeper(route.tracker))
        self._stopping = stopping
        self._poll_seconds = poll_seconds
        self._limit = limit
        self._done = 0
        self._trouble = _Trouble(route)
        self._held: Hold | None = None

    def run(self) -> None:
        while not self._finished():
            try:
                self._work()
            except LeaseHeldError as error:
                self._trouble.standing_by(error)
                self._stopping.wait(STANDBY_PAUSE)
            except LeaseLostError as error:
                log.warning("%s", error)
            except Exception as error:  # noqa: BLE001 - a plugin's fault must not end the exchange
                self._stopping.wait(self._trouble.failed(error))
        self._route.event_store.close()

    def _finished(self) -> bool:
        return self._stopping.is_set() or (self._limit is not None and self._done >= self._limit)

    def _work(self) -> None:
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
            if remaining == 0:
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
                relay.idle(pause)
                pause = min(pause * 2, self._poll_seconds)

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


class _Trouble:
    """What is wrong with an exchange just now: told once, retried at growing intervals."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._backoff = Backoff()
        self._since: float | None = None
        self._told = ""

    def failed(self, error: Exception) -> float:
        """Tell of ``error`` where it is news; return the seconds until the next try."""
        ours = isinstance(error, TidingsError)
        retry_in = self._backoff.next(passes=isinstance(error, TidingsError) and error.passes)
        sentence = str(error) if ours else f"{type(error).__name__}: {error}"
        if sentence != self._told:
            log.error(
                "%s: %s Trying again until it works.",
                self._route.exchange_name,
                sentence,
                exc_info=None if ours else error,
            )
            self._told = sentence
        if self._since is None:
            self._since = time.monotonic()
        self._route.observers.failed(self._route.exchange_name, error, retry_in)
        return retry_in

    def standing_by(self, error: LeaseHeldError) -> None:
        """Tell, once, that another relay works on the exchange."""
        if self._told != error.owner:
            log.info("%s: standing by; it is relayed by %s", error.exchange_name, error.owner)
            self._told = error.owner
            self._route.observers.standing_by(error.exchange_name, error.owner)

    def over(self) -> None:
        """Note that the exchange works: something was accepted, or there is nothing to send."""
        if self._since is not None:
            seconds = time.monotonic() - self._since
            log.info("%s: works again after %.1f s", self._route.exchange_name, seconds)
            self._route.observers.recovered(self._route.exchange_name, seconds)
        self._since, self._told = None, ""
        self._backoff.reset()
