"""Keeps every exchange going, each in a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tidings.errors import ExchangePausedError, LeaseHeldError, LeaseLostError, TidingsError
from tidings.interfaces import Capability, Waited
from tidings.relay.asked import Asked, Requests
from tidings.relay.holding import Holding
from tidings.relay.journal_writer import JournalWriter
from tidings.relay.journaled import Journaled
from tidings.relay.owner import Owner
from tidings.relay.pulse import Pulse, WithOwn
from tidings.relay.retry import retry
from tidings.relay.run import running
from tidings.relay.trouble import Trouble
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.relay.pulse import Vitals
    from tidings.relay.route import Route
    from tidings.relay.run import Run

log = escaping_logger(__name__)

SHORTEST_PAUSE = 0.005
LONGEST_WAIT = 0.5
LOOK_ANYWAY = 1.0
"""Seconds after which an exchange that nobody woke looks by itself."""
STANDBY_PAUSE = 1.0
LOOK_FOR_SIGNALS = 0.5
LAST_FLUSH = 3.0
LAST_JOIN = 4.5
LAST_NOTES = 1.0

_SHUT_DOWN = object()


class Worker:
    """Relays several exchanges until it is told to shut down.

    A dead broker, or a lost database, of one exchange never delays another. Whatever fails is
    logged once and tried again, for ever, unless it is ``final``. If another relay has an
    exchange, this one stands by.

    **Shutdown.** :meth:`shut_down` may be called from any thread and from a signal handler. Each
    exchange then finishes the batch in hand, tracks it and gives its lease back. What a dead broker
    has not accepted within seconds is left for the next start.
    """

    def __init__(
        self, routes: Sequence[Route], *, poll_seconds: float = 0.1, limit: int | None = None
    ) -> None:
        """Take the exchanges; of those whose store wakes nobody, each polls so often by itself."""
        self._shutdown = threading.Event()
        # Not the event itself: a signal handler that sets it while its own thread is inside its
        # lock would wait for ever. This queue's `put` may be called from anywhere.
        self._news: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._journal = JournalWriter()
        common = _Common(self._shutdown, poll_seconds, self._journal)
        requests = {id(route.tracker): Requests(route.tracker) for route in routes}
        self._exchanges = [
            _ExchangeWorker(route, requests[id(route.tracker)], common, limit) for route in routes
        ]

    def run(self) -> None:
        """Work until :meth:`shut_down`, or until every exchange has had its ``limit``. Once only.

        Shuts down, and raises, if an exchange meets an error that is ``final``. If a thread has
        ended by a fault of tidings itself, the others go on, and it is raised at the end.
        """
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
        while running and self._next_news() is not _SHUT_DOWN:
            running -= 1
        self._shutdown.set()
        _join(threads)
        self._journal.close(LAST_NOTES)
        for exchange in self._exchanges:
            if exchange.final_error is not None:
                raise exchange.final_error
        for exchange in self._exchanges:
            if exchange.fault is not None:
                raise TidingsError(
                    f"Exchange {exchange.name!r}: its thread has ended by a fault of tidings "
                    "itself, which the log holds. Start the relay again, and report it."
                ) from exchange.fault

    def _next_news(self) -> object:
        """Wait for what a thread, or a signal handler, has put there.

        A signal that comes just before the wait, or to another thread, does not end the wait, and
        its handler runs only when this thread goes on. So it goes on now and then.
        """
        while True:
            with suppress(queue.Empty):
                return self._news.get(timeout=LOOK_FOR_SIGNALS)

    def shut_down(self) -> None:
        """Ask every exchange to finish. Returns at once; idempotent."""
        self._news.put(_SHUT_DOWN)

    def vitals(self) -> Sequence[Vitals]:
        """Return how each exchange's thread is. From any thread; waits for nothing."""
        return [exchange.pulse.vitals() for exchange in self._exchanges]

    def wait_for_shutdown(self, seconds: float) -> bool:
        """Wait until it shuts down, for whatever reason, but no longer; return whether it does."""
        return self._shutdown.wait(seconds)

    def _run_exchange(self, exchange: _ExchangeWorker) -> None:
        try:
            exchange.run()
            exchange.pulse.finished()
        except BaseException as error:
            exchange.fault = error
            exchange.pulse.died(error)
            log.exception("%s: its thread has ended; start the relay again", exchange.name)
        finally:
            self._news.put(exchange if exchange.final_error is None else _SHUT_DOWN)


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


class _Common(NamedTuple):
    """What all exchanges of a worker have in common."""

    shutdown: threading.Event
    poll_seconds: float
    journal: JournalWriter


class _ExchangeWorker:
    """One exchange's thread."""

    def __init__(
        self, route: Route, requests: Requests, common: _Common, limit: int | None
    ) -> None:
        self.name = route.exchange_name
        self.pulse = Pulse(self.name)
        self._owner = Owner()
        own = self.pulse, Journaled(route, self._owner, common.journal)
        route = replace(route, observers=WithOwn(route.observers, *own))
        self._route = route
        self._generation = 0
        self._shutdown = common.shutdown
        self._poll_seconds = common.poll_seconds
        self._limit = limit
        self._done = 0
        self._trouble = Trouble(route, self._owner)
        self._holding = Holding(route.exchange_name, route.observers)
        self._carries = False
        self._asked = Asked(route, requests)
        self._told_idle = False
        self.final_error: TidingsError | None = None
        self.fault: BaseException | None = None

    def run(self) -> None:
        self._route.observers.started(self.name)
        try:
            self._work_and_try_again()
        finally:
            self._trouble.forget()
            self._route.observers.ended(self.name, self.final_error)

    def _work_and_try_again(self) -> None:
        while not self._finished():
            self.pulse.beat()
            try:
                self._work()
            except LeaseHeldError as error:
                self._carries = False
                self._trouble.standing_by(error)
                self._shutdown.wait(STANDBY_PAUSE)
            except ExchangePausedError as error:
                self._carries = False
                self._trouble.paused(error)
                self._shutdown.wait(STANDBY_PAUSE)
            except LeaseLostError as error:
                self._carries = False
                if not self._was_replayed():
                    self._shutdown.wait(self._trouble.failed(error))
            except Exception as error:  # noqa: BLE001 - a plugin's fault must not end the exchange
                if isinstance(error, TidingsError) and error.final:
                    self.final_error = error
                    return
                self._shutdown.wait(self._trouble.failed(error))

    def _finished(self) -> bool:
        return self._shutdown.is_set() or (self._limit is not None and self._done >= self._limit)

    def _work(self) -> None:
        run: Run | None = None
        try:
            with running(self._route, self._owner) as run:
                self._begin(run)
                self._carry(run)
                run.flush(LAST_FLUSH if self._shutdown.is_set() else None)
        finally:
            self._done += 0 if run is None else run.accepted_count

    def _begin(self, run: Run) -> None:
        self._generation = run.generation
        self._told_idle = False
        self._trouble.taken()
        if not self._carries:
            self._carries = True
            log.info("%s: carried by this relay, from event %d on", self.name, run.next_id)

    def _carry(self, run: Run) -> None:
        pause = SHORTEST_PAUSE
        while not self._shutdown.is_set():
            self.pulse.beat()
            remaining = None if self._limit is None else self._limit - self._done - run.sent_count
            if remaining == 0 or self._asked.to_pause(run):
                return
            if self._asked.to_retry(run):
                retry(run, self.pulse.beat)
            if run.accepted_count:
                self._works()
            if run.step(remaining):
                self._holding.over()
                self._told_idle = False
                pause = SHORTEST_PAUSE
            elif run.in_flight:
                run.flush()
            else:
                self._works()
                held = self._look_for_a_hold(run)
                self._idle(run, pause)
                # A wake-up that brings nothing (a gap, say) is followed by ever longer pauses too.
                seconds = self._poll_seconds if held else LOOK_ANYWAY
                silent = self._listen(run, seconds) is Waited.TIME_IS_UP
                pause = SHORTEST_PAUSE if silent else min(pause * 2, self._poll_seconds)

    def _works(self) -> None:
        self._trouble.over()
        self.pulse.works()

    def _idle(self, run: Run, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._shutdown.is_set() and (left := until - time.monotonic()) > 0:
            run.idle(min(left, LONGEST_WAIT))
            self.pulse.beat()

    def _listen(self, run: Run, seconds: float) -> Waited:
        """Let the event store wake us, if it can, before we look by ourselves."""
        store = self._route.event_store
        if Capability.WAKE_UP not in store.capabilities:
            return Waited.CANNOT_TELL
        until = time.monotonic() + seconds
        while not self._shutdown.is_set():
            left = until - time.monotonic()
            longest = min(LONGEST_WAIT, run.longest_silence)
            came = store.wait(min(left, longest))
            if came is not Waited.TIME_IS_UP or left <= longest:
                return came
            run.idle(SHORTEST_PAUSE)
            self.pulse.beat()
        return Waited.TIME_IS_UP

    def _look_for_a_hold(self, run: Run) -> bool:
        """Return, and tell, whether an event that is missing keeps the exchange from going on."""
        with run.during_call():
            hold = self._route.event_store.hold()
        self._holding.look(hold)
        if hold is None and not self._told_idle:
            self._told_idle = True
            self._route.observers.idle(self.name)
        return hold is not None

    def _was_replayed(self) -> bool:
        """Return, and tell, whether it was a replay that took the lease from us."""
        try:
            rows = self._route.tracker.tracked_exchanges()
        except Exception:  # noqa: BLE001 - the next try meets it, and tells
            return False
        for row in rows:
            if row.exchange_name == self.name and row.position.generation > self._generation:
                log.info("%s: replayed; it goes on from event %d", self.name, row.position[0] + 1)
                return True
        return False
