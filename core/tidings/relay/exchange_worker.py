"""One exchange, carried on and on by a thread: run after run, with a delay after each failure."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tidings.errors import ExchangePausedError, LeaseHeldError, LeaseLostError, TidingsError
from tidings.interfaces import Capability, Waited
from tidings.relay.asked import Asked, Requests
from tidings.relay.holding import Holding
from tidings.relay.journaled import Journaled
from tidings.relay.owner import Owner
from tidings.relay.pulse import Pulse, WithOwn
from tidings.relay.retry import retry
from tidings.relay.run import running
from tidings.relay.shared_store import interrupt
from tidings.relay.trouble import Trouble
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    import threading

    from tidings.relay.journal_writer import JournalWriter
    from tidings.relay.route import Route
    from tidings.relay.run import Run

log = escaping_logger(__name__)

SHORTEST_DELAY = 0.005
LONGEST_WAIT = 2.0
LOOK_ANYWAY = 2.0
"""Seconds after which an exchange that nobody woke looks by itself."""
STANDBY_DELAY = 1.0
LAST_FLUSH = 3.0


class Common(NamedTuple):
    """What all exchanges of a worker have in common."""

    shutdown: threading.Event
    poll_seconds: float
    journal: JournalWriter


class ExchangeWorker:
    """Keeps one exchange going, whatever fails, until it is told to shut down.

    **Threads.** Used by the exchange's own thread. What it leaves (:attr:`final_error`,
    :attr:`fault`) is for who has waited for that.
    """

    def __init__(self, route: Route, requests: Requests, common: Common, limit: int | None) -> None:
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

    def interrupt(self) -> None:
        """Let it see at once that it is to finish, if it waits for events. From any thread."""
        interrupt(self._route.event_store)

    def _work_and_try_again(self) -> None:
        while not self._finished():
            self.pulse.beat()
            try:
                self._work()
            except LeaseHeldError as error:
                self._carries = False
                self._trouble.standing_by(error)
                self._shutdown.wait(STANDBY_DELAY)
            except ExchangePausedError as error:
                self._carries = False
                self._trouble.paused(error)
                self._shutdown.wait(STANDBY_DELAY)
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
        delay = SHORTEST_DELAY
        while not self._shutdown.is_set():
            self.pulse.beat()
            remaining = None if self._limit is None else self._limit - self._done - run.sent_count
            if remaining == 0 or self._asked.to_pause(run):
                return
            if self._asked.to_retry(run):
                retry(run, self.pulse.beat)
            if run.accepted_count:
                self._works(run)
            if run.step(remaining):
                self._holding.over()
                self._told_idle = False
                delay = SHORTEST_DELAY
            elif run.in_flight:
                run.settle()
            else:
                self._works(run)
                held = self._look_for_a_hold(run)
                self._idle(run, delay)
                # A wake-up that brings nothing (a gap, say) is followed by ever longer delays, too.
                seconds = self._poll_seconds if held else LOOK_ANYWAY
                silent = self._listen(run, seconds) is Waited.TIME_IS_UP
                delay = 0.0 if silent else min(max(delay * 2, SHORTEST_DELAY), self._poll_seconds)

    def _works(self, run: Run) -> None:
        with run.during_call():  # what was noted beside the position is removed
            self._trouble.over()
        self.pulse.works()

    def _idle(self, run: Run, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._shutdown.is_set():
            run.idle(min(max(until - time.monotonic(), 0.0), LONGEST_WAIT))
            self.pulse.beat()
            if time.monotonic() >= until:
                return

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
            run.idle(0.0)
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
            row = self._route.tracker.tracked_exchange(self.name)
        except Exception:  # noqa: BLE001 - the next try meets it, and tells
            return False
        if row is None or row.position.generation <= self._generation:
            return False
        log.info("%s: replayed; it goes on from event %d", self.name, row.position.event_id + 1)
        return True
