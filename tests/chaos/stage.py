"""A database, a backend and relays, for the disturbances to play on."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tests.chaos.backends import EXCHANGE
from tests.chaos.process import Process, run_relay
from tests.chaos.writer import BODY, Writer
from tidings import NewEvent
from tidings.bootstrap import Tidings
from tidings.errors import StoreUnavailableError
from tidings.testing import eventually

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.chaos.backends import Backend
    from tests.chaos.databases import Database
    from tidings.testing.proxy import TcpProxy

T = TypeVar("T")

LOAD = 8000
"""Events that wait for the relay when a round begins: several windows."""
PATIENCE = 120

CONFIGURATION = """
[event_store]
url = "{database}"

[relay]
lease_seconds = 3

[exchanges.{exchange}]
producer = "{producer}"
{exchange_settings}
[producers.{producer}]
{settings}
"""


@dataclass
class Stage:
    """Where a disturbance plays: events are stored, relays run, and both can be made to suffer."""

    folder: Path
    backend: Backend
    database: Database
    random: random.Random
    proxy: TcpProxy | None = None
    """What stands between the relays and who listens to them, if the disturbance needs it."""
    exchange_settings: str = ""
    """More lines of the exchange's table."""
    keys: int = 0
    """How many aggregates the bulk of the events is of; of none at all if 0."""
    types: Sequence[str] = ("Bulk",)
    """The types of the bulk, in turn."""
    stalls: list[float] = field(default_factory=list)
    relays: list[Process] = field(default_factory=list)

    def prepare(self) -> None:
        """Configure the relays, make the tables, and let the application begin."""
        self._configure("tidings.toml", self.database.relay_url)
        self.tidings = self._configure("direct.toml", self.database.url)
        self.store = self.tidings.event_store()
        self.store.create()
        self.tidings.tracker.create()
        self.writer = Writer(self.tidings, self.random)
        self.writer.start()

    def load(self) -> None:
        """See that the relay has enough to do."""
        if self.newest() - self.position() < LOAD:
            self._answer(self._append)

    def start_relay(self) -> Process:
        """Start `tidings run`; its log is appended to a file."""
        relay = Process(run_relay, self.folder)
        self.relays.append(relay)
        return relay

    def relay(self) -> Process:
        """Return the relay that runs, or a new one, at a random moment under full load.

        The moment is the experiment. It is counted in events, so that the fastest relay still has
        more than it can send at once.
        """
        relay = self.relays[0] if self.relays else self.start_relay()
        at, newest = self.position(), self.newest()
        moment = at + 1 + int(self.random.uniform(0, 0.5) * (newest - at))
        self._wait_for(lambda: self.position() >= moment, f"event {moment} to be tracked")
        self.pause(0.02)
        return relay

    def kill(self, relay: Process) -> None:
        """Kill -9."""
        relay.kill()
        self.relays.remove(relay)

    def terminate(self, relay: Process) -> None:
        """Send SIGTERM: exit 0 within five seconds."""
        code, seconds = relay.terminate()
        self.relays.remove(relay)
        assert code == 0, f"exit code {code}: {self.log_end()}"
        assert seconds < 5, f"SIGTERM took {seconds:.1f} s"

    def position(self) -> int:
        """Return how far the exchange is tracked; -1 if the database is away."""
        with suppress(Exception):
            return self.tidings.tracker.most_recent_published_message_id(EXCHANGE) or 0
        return -1

    def newest(self) -> int:
        """Return the newest event's id."""
        return self._answer(self.store.newest_event_id) or 0

    def pause(self, longest: float) -> None:
        """Let the relay work for a random time."""
        time.sleep(self.random.uniform(0, longest))

    def works(self) -> None:
        """Wait until the position moves."""
        at = self.position()
        self._wait_for(lambda: self.position() > at, f"progress beyond {at}")

    def works_again(self) -> None:
        """The disturbance is over: wait until the position moves, and note how long that took."""
        begun = time.monotonic()
        self.works()
        self.stalls.append(time.monotonic() - begun)

    def recovers(self) -> None:
        """The disturbance is over: wait until what is stored by now is tracked; note how long.

        Stricter than :meth:`works_again`: acceptance of what was in flight when it began
        doesn't count as work.
        """
        begun = time.monotonic()
        newest = self.newest()
        self._tracks(newest)
        self.stalls.append(time.monotonic() - begun)

    def finish(self) -> int:
        """Let the application end; wait until all is tracked, and return the newest id."""
        self.writer.stop()
        assert self.writer.committed, "The application never committed anything."
        if not self.relays:
            self.start_relay()
        newest = self.newest()
        self._tracks(newest)
        return newest

    def log_end(self) -> str:
        """Return the last lines of the relays' log."""
        file = self.folder / "log"
        return file.read_text()[-1500:] if file.exists() else ""

    def clear(self) -> None:
        """Leave nothing running."""
        self.writer.stop()
        for relay in list(self.relays):
            self.kill(relay)
        self.store.close()
        self.tidings.close()

    def _append(self) -> None:
        with self.store.transaction() as transaction:
            self.store.append(transaction, *map(self._bulk, range(LOAD)))

    def _bulk(self, number: int) -> NewEvent:
        aggregate = f"order-{number % self.keys}" if self.keys else None
        return NewEvent(self.types[number % len(self.types)], BODY, aggregate_id=aggregate)

    def _answer(self, ask: Callable[[], T]) -> T:
        """Ask the database; after a disturbance it may first say that the connection is gone."""
        with suppress(StoreUnavailableError):
            return ask()
        return ask()

    def _tracks(self, event_id: int) -> None:
        self._wait_for(lambda: self.position() >= event_id, f"event {event_id} to be tracked")

    def _wait_for(self, condition: Callable[[], bool], what: str) -> None:
        def met() -> bool:
            assert all(relay.alive for relay in self.relays), f"A relay ended: {self.log_end()}"
            return condition()

        try:
            eventually(met, what, PATIENCE)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log_end()}") from None

    def _configure(self, name: str, database_url: str) -> Tidings:
        text = CONFIGURATION.format(
            database=database_url,
            exchange=EXCHANGE,
            producer=self.backend.producer,
            exchange_settings=self.exchange_settings,
            settings=self.backend.settings(),
        )
        (self.folder / name).write_text(text)
        return Tidings.from_file(self.folder / name, environ={})
