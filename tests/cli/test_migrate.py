"""``tidings migrate``: from a database of version 1 to a relay that goes on."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.sql.databases import version_1

if TYPE_CHECKING:
    from tests.command import Project


@pytest.fixture
def old(empty: Project) -> Project:
    """Give a project whose database has tables of version 1: two of three events are sent."""
    empty.configure(
        """
        [event_store]
        url = "sqlite:///events.db"

        [exchanges.shop]
        producer = "jsonlines"

        [producers.jsonlines]
        path = "shop.jsonl"
        """
    )
    with sqlite3.connect(empty.folder / "events.db") as database:
        database.executescript(";\n".join(version_1("sqlite")))
    database.close()
    return empty


def test_everything_says_what_to_run_and_then_the_exchange_goes_on(old: Project) -> None:
    for command in ("check", "spread", "status", "prune --keep 1"):
        result = old.run(*command.split())
        assert result.code == 1
        assert "stop every relay, and run `tidings migrate`" in result.out + result.err
        assert "init --tables" not in result.out + result.err

    assert old.succeed("migrate").out == "Tables migrated.\n"
    assert old.succeed("migrate").out == "Nothing to do: the tables are of this version.\n"
    assert [entry["what"] for entry in old.succeed("journal", "--json").lines] == ["migrated"]
    assert old.succeed("spread").out == "1 notification(s) sent!\n"
    assert '"event_id":3' in (old.folder / "shop.jsonl").read_text()


def test_the_statements_can_be_run_by_others(old: Project) -> None:
    statements = old.succeed("migrate", "--sql").out
    assert old.run("check").code == 1
    with sqlite3.connect(old.folder / "events.db") as database:
        database.executescript(statements)
    database.close()

    old.succeed("check")
    again = old.succeed("migrate", "--sql")
    assert (again.out, again.err) == ("", "Nothing to do: the tables are of this version.\n")
