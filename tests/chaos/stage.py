"""A database, a backend and relays, for the faults to play on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.servers import wait_for
from tidings import NewEvent
from tidings.composition import bootstrap

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.chaos.backends import Backend
    from tidings.testing.proxy import TcpProxy

from tests.chaos.backends import EXCHANGE

BODY = {"text": "x" * 250}
PATIENCE = 120

CONFIGURATION = """
[event_store]
url = "{database}"

[relay]
lease_seconds = 3

[exchanges.{exchange}]
producer = "{producer}"

[producers.{producer}]
{settings}
"""


@dataclass
class Stage:
    """Where a fault plays: events are stored, relays run, and both can be made to suffer."""

    folder: Path
    backend: Backend
    database_url: str
    random: random.Random
    proxy: TcpProxy | None = None
    """What stands between the relays and the broker, where the fault needs it."""
    stored: int = 0
    stalls: list[float] = field(default_factory=list)
    relays: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def prepare(self) -> None:
        text = CONFIGURATION.format(
            database=self.database_url,
            exchange=EXCHANGE,
            producer=self.backend.producer,
            settings=self.backend.settings(
                self.proxy.address[1] if self.proxy else self.backend.port
            ),
        )
        (self.folder / "tidings.toml").write_text(text)
        self.tidings = bootstrap(self.folder / "tidings.toml", environ={})
        self.store = self.tidings.event_store()
        self.store.create()
        self.tidings.tracker.create()

    def append(self, count: int) -> None:
        """Store events in one transaction."""
        with self.store.transaction() as transaction:
            self.store.append(transaction, *(NewEvent("Chaos", BODY) for _ in range(count)))
        self.stored += count

    def start_relay(self) -> subprocess.Popen[bytes]:
        """Start `tidings run`; its log is appended to a file."""
        with (self.folder / "log").open("ab") as log:
            relay = subprocess.Popen(
                [sys.executable, "-m", "tidings", "--config", "tidings.toml", "run"],
                cwd=self.folder,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self.relays.append(relay)
        return relay

    def kill(self, relay: subprocess.Popen[bytes]) -> None:
        """Kill -9."""
        relay.send_signal(signal.SIGCONT)
        relay.kill()
        relay.wait()
        self.relays.remove(relay)

    def terminate(self, relay: subprocess.Popen[bytes]) -> tuple[int, float]:
        """Send SIGTERM; return the exit code and how long it took."""
        begun = time.monotonic()
        relay.terminate()
        code = relay.wait(30)
        self.relays.remove(relay)
        return code, time.monotonic() - begun

    def position(self) -> int:
        """Return how far the exchange is tracked; -1 where the database is away."""
        with suppress(Exception):
            return self.tidings.tracker.most_recent_published_message_id(EXCHANGE) or 0
        return -1

    def pause(self, longest: float) -> None:
        """Let the relay work for a random time: the moment of the fault is the experiment."""
        time.sleep(self.random.uniform(0, longest))

    def progresses(self) -> None:
        """Wait until the position moves, or there is nothing left; note how long it took."""
        begun = time.monotonic()
        at = self.position()
        wait_for(
            lambda: self.position() > at or self.position() >= self.stored,
            f"progress beyond {at} ({self.log_end()})",
            PATIENCE,
        )
        self.stalls.append(time.monotonic() - begun)

    def catch_up(self) -> None:
        """Wait until everything stored is tracked."""
        if not self.relays:
            self.start_relay()
        self.stored = self.store.newest_event_id() or 0
        wait_for(lambda: self.position() >= self.stored, f"{self.stored} tracked", PATIENCE)

    def log_end(self) -> str:
        file = self.folder / "log"
        return file.read_text()[-500:] if file.exists() else ""

    def clear(self) -> None:
        for relay in list(self.relays):
            self.kill(relay)
        self.store.close()
        self.tidings.tracker.close()
