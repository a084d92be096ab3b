"""A project with events of which some are poison."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.command import Project

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """
[event_store]
url = "sqlite:///events.db"

[relay]
lease_seconds = 3

[exchanges.{exchange}]
producer = "{producer}"
on_poison = "{on_poison}"

[producers.{producer}]
{settings}
"""


class Poisoned(Project):
    """Runs `tidings` in a folder; looks into the event store with SQL."""

    def poison(self, event_id: int, body: str = "{not JSON") -> None:
        """Make an event one that can never be sent."""
        self._update(event_id, body)

    def mend(self, event_id: int) -> None:
        self._update(event_id, f'{{"n":{event_id}}}')

    def mend_type(self, event_id: int, type_name: str) -> None:
        self._execute("UPDATE event SET type_name = ? WHERE event_id = ?", type_name, event_id)

    def spoil_time(self, event_id: int) -> None:
        """Give an event a time that cannot be read."""
        self._execute("UPDATE event SET occurred_on = '1790000000' WHERE event_id = ?", event_id)

    def mend_time(self, event_id: int) -> None:
        self._execute("UPDATE event SET occurred_on = '2026-01-02' WHERE event_id = ?", event_id)

    def set_up(
        self, exchange: str, producer: str, *settings: str, on_poison: str = "quarantine"
    ) -> None:
        self.configure(
            CONFIGURATION.format(
                exchange=exchange,
                producer=producer,
                on_poison=on_poison,
                settings="\n".join(settings),
            )
        )

    def listed(self) -> list[tuple[str, int]]:
        """Return what `tidings quarantine list --json` shows."""
        rows = json.loads(self.succeed("quarantine", "list", "--json").out)["quarantined"]
        return [(row["exchange"], row["event_id"]) for row in rows]

    def delete(self, event_id: int) -> None:
        self._execute("DELETE FROM event WHERE event_id = ?", event_id)

    def _update(self, event_id: int, body: str) -> None:
        self._execute("UPDATE event SET body = ? WHERE event_id = ?", body, event_id)

    def _execute(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.folder / "events.db") as connection:
            connection.execute(statement, values)
        connection.close()


@pytest.fixture
def project(tmp_path: Path) -> Poisoned:
    """Give a project that writes exchange `orders` to a file; ten events, the sixth is poison."""
    project = Poisoned(tmp_path)
    project.set_up("orders", "jsonlines", 'path = "orders.jsonl"')
    project.succeed("init", "--tables")
    project.append_numbers(1, 10)
    project.poison(6)
    return project
