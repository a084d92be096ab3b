"""Keeps every exchange going, each in a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tidings.defaults import POLL_SECONDS
from tidings.errors import TidingsError
from tidings.relay.asked import Requests
from tidings.relay.exchange_worker import Common, ExchangeWorker
from tidings.relay.journal_writer import JournalWriter
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.relay.pulse import Vitals
    from tidings.relay.route import Route

log = escaping_logger(__name__)

LOOK_FOR_SIGNALS = 0.5
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
        self,
        routes: Sequence[Route],
        *,
        poll_seconds: float = POLL_SECONDS,
        limit: int | None = None,
    ) -> None:
        """Take the exchanges; of those whose store wakes nobody, each polls so often by itself."""
        self._shutdown = threading.Event()
        # Not the event itself: a signal handler that sets it while its own thread is inside its
        # lock would wait for ever. This queue's `put` may be called from anywhere.
        self._news: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._journal = JournalWriter()
        common = Common(self._shutdown, poll_seconds, self._journal)
        requests = {id(route.tracker): Requests(route.tracker) for route in routes}
        self._exchanges = [
            ExchangeWorker(route, requests[id(route.tracker)], common, limit) for route in routes
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
        for exchange in self._exchanges:
            exchange.interrupt()
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

        A signal that comes just before the wait, or to another thread, does not end the wait. The
        signal's handler runs only when this thread goes on. So it goes on now and then.
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

    def _run_exchange(self, exchange: ExchangeWorker) -> None:
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
