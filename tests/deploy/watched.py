"""A relay that works on RabbitMQ and PostgreSQL, and a Prometheus that watches it.

It has our alerts: their own expressions, with numbers that a test can wait for.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import text

from tests.cli.test_health import Relay
from tests.command import Project
from tests.deploy.rendering import rendered
from tests.servers import free_port
from tests.sql.databases import application_engine
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from tests.command import Running
    from tests.conftest import Factory
    from tests.servers import PostgreSQL, Prometheus, RabbitMQ

PATIENCE = 120
BOTH = {"orders", "audit"}
NUMBERS = (
    "--wait=2s",
    "--hold-seconds=3",
    "--late-seconds=2",
    "--behind-events=50",
    "--growing=4s",
)
CONFIGURATION = """
[event_store]
url = "{database}"

[relay]
lease_seconds = 3

[exchanges.orders]
producer = "rabbitmq"
events = ["Order*"]

[exchanges.audit]
producer = "rabbitmq"
events = ["Audit*"]
on_poison = "quarantine"

[producers.rabbitmq]
url = "{broker}"

[observers.prometheus]
look_timeout = 0.5
"""


class Watched(Project):
    """The relay's folder, its servers, and the Prometheus with our alerts."""

    def __init__(
        self,
        folder: Path,
        broker: RabbitMQ,
        database: PostgreSQL,
        start_prometheus: Factory[Prometheus],
    ) -> None:
        """Write the configuration, make the tables, and let Prometheus look."""
        super().__init__(folder)
        port = free_port()
        self.broker, self.database, self.relay = broker, database, Relay(port)
        self.address = f"127.0.0.1:{port}"
        url = database.new_database()
        self.engine = application_engine(url)
        self.configure(CONFIGURATION.format(database=url, broker=broker.url))
        self.succeed("init", "--tables")
        (rules := folder / "tidings.rules.yaml").write_text(rendered(*NUMBERS))
        self.prometheus = start_prometheus(target=self.address, every="500ms", rules=rules)

    @contextmanager
    def watched(self) -> Iterator[Running]:
        """Run a relay that answers where Prometheus asks."""
        with self.running("run", TIDINGS_RELAY__HTTP=self.address) as running:
            yield running

    def append_to(self, connection: Connection, type_name: str, body: str = "{}") -> int:
        """Insert an event, as an application without SQLAlchemy would; return its id."""
        inserted = connection.execute(
            text(
                "INSERT INTO event (type_name, body, occurred_on) "
                "VALUES (:type_name, :body, now()) RETURNING event_id"
            ),
            {"type_name": type_name, "body": body},
        )
        event_id: int = inserted.scalar_one()
        return event_id

    def add(self, type_name: str = "OrderPlaced", body: str = "{}", *, count: int = 1) -> int:
        """Commit events; return the last one's id."""
        with self.engine.begin() as connection:
            ids = [self.append_to(connection, type_name, body) for _ in range(count)]
        return ids[-1]

    def mend(self, event_id: int) -> None:
        """Give an event a body that can be sent."""
        with self.engine.begin() as connection:
            connection.execute(
                text("UPDATE event SET body = '{}' WHERE event_id = :id"), {"id": event_id}
            )

    def firing(self, alert: str) -> set[str]:
        """Return the exchanges for which it fires."""
        return {exchange for name, exchange in self.prometheus.alerts() if name == alert}

    def fires(self, alert: str, exchanges: set[str]) -> None:
        """Wait until it fires, for these and no others."""
        eventually(lambda: self.firing(alert) >= exchanges, f"{alert} to fire", PATIENCE)
        assert self.firing(alert) <= exchanges

    def all_is_well(self) -> None:
        """Wait until no alert fires: whatever was wrong is over, and so is every alert."""
        eventually(lambda: not self.prometheus.alerts(), "every alert to resolve", PATIENCE)
