"""The rights that the operator's page lists: enough, and none of them too many."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from tests.command import Project, Result
from tests.docs.rights import PAGE, RIGHTS, Granted, Right, granted
from tests.sql.databases import event_store, version_1
from tidings import NewEvent, record
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

CONFIGURATION = """
[event_store]
url = "${URL}"

[exchanges.orders]
producer = "jsonlines"
on_poison = "quarantine"

[producers.jsonlines]
path = "{exchange}.jsonl"
"""


class Day:
    """What each role does, one command after the other."""

    def __init__(self, database: Granted, folder: Path) -> None:
        self.database = database
        self.project = Project(folder)
        self.project.configure(CONFIGURATION)

    def run(self, role: str, *arguments: str) -> Result:
        return self.project.run(*arguments, URL=self.database.url_of(role))

    def succeed(self, role: str, *arguments: str) -> None:
        result = self.run(role, *arguments)
        assert result.code == 0, result.out + result.err

    def record(self, count: int = 3) -> None:
        engine = application(self.database)
        with Session(engine) as session, session.begin():
            record(session, *(NewEvent("Ordered", {"n": n}) for n in range(count)))

    def hold(self) -> dict[str, Any]:
        shown = self.run("relay", "status", "--json")
        hold: dict[str, Any] = json.loads(shown.out)["exchanges"][0]["hold"]
        return hold

    def poison(self) -> None:
        """Store two events that cannot be sent, and one that can, as no recording would."""
        self.database.execute(
            *(
                "INSERT INTO event (type_name, body, occurred_on) "
                f"VALUES ('Poison', '{body}', '2026-01-01 00:00:00')"
                for body in ("no JSON", "no JSON", "{}")
            )
        )

    def mend(self) -> None:
        self.database.execute("UPDATE event SET body = '{}' WHERE type_name = 'Poison'")

    def commands(self, role: str) -> Iterator[list[str]]:
        """Give the commands of a role's day, with what others do in between."""
        if role == "relay":
            self.poison()
            yield ["check"]
            yield ["spread"]
            yield ["status"]
            self.mend()
            yield ["quarantine", "retry", "orders", "1"]
            yield ["quarantine", "drop", "orders", "2"]
            yield ["replay", "orders", "--all"]
            yield ["pause", "orders"]
            yield ["journal"]
            yield ["resume", "orders"]
        else:
            self.record()
            self.succeed("relay", "spread")
            yield ["prune", "--keep", "1"]


def application(database: Granted) -> Engine:
    return create_engine(database.url_of("app"), poolclass=NullPool)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Granted]:
    """Give an empty database of the kind that the test is about, and its users."""
    server: str = request.param
    with granted(server, request.getfixturevalue(server)) as database:
        yield database


@pytest.fixture
def day(database: Granted, tmp_path: Path) -> Day:
    """Give the roles their rights, and the migrator's work done."""
    database.grant("migrator")
    store = event_store(database.url_of("migrator"))
    store.create()
    store.close()
    database.grant("app", "relay", "pruner")
    return Day(database, tmp_path)


NEW_TABLES = ("shop.idle_relay", "shop.relay_journal")
"""What version 1 of the tables lacks."""

on_both = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)


@on_both
def test_the_rights_are_enough_to_record_relay_watch_and_prune(day: Day) -> None:
    for role in ("relay", "pruner"):
        for arguments in day.commands(role):
            day.succeed(role, *arguments)
    assert '"n":1' in (day.project.folder / "orders.jsonl").read_text()
    engine = create_engine(day.database.url, poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM event")).scalar() == 1


def _of(right: Right) -> str:
    """Return what a right is for, if nothing fails without it."""
    if right.on.endswith("relay_journal"):
        return "journal"
    return "notes" if right.on.endswith("idle_relay") and right.right != "SELECT" else ""


def _parameters(*roles: str, of: str = "") -> list[object]:
    """Return the rights of those roles: those for that alone, or all that something needs."""
    return [
        pytest.param(right.server, right, id=str(right))
        for right in RIGHTS
        if right.role in roles and _of(right) == of
    ]


def _name(right: Right) -> str:
    """Return the thing's name as a sentence says it."""
    if right.role == "migrator":
        return "schema public" if right.server == "postgresql" else ""
    return right.on.removeprefix("SEQUENCE ").removeprefix("shop.")


@pytest.mark.parametrize(
    ("database", "right"), _parameters("relay", "pruner"), indirect=["database"]
)
def test_without_one_of_them_a_command_fails_with_a_sentence(day: Day, right: Right) -> None:
    day.database.revoke(right)
    results = (day.run(right.role, *arguments) for arguments in day.commands(right.role))
    failed = next((result for result in results if result.code), None)
    assert failed is not None, "a right too many"
    assert_sentence(failed, _name(right))


@pytest.mark.parametrize(
    ("database", "right"), _parameters("relay", of="notes"), indirect=["database"]
)
def test_without_one_of_them_a_relay_that_cannot_work_warns(day: Day, right: Right) -> None:
    day.database.revoke(right)
    nowhere = {"TIDINGS_PRODUCERS__JSONLINES__PATH": "/proc/nowhere/{exchange}"}
    url = day.database.url_of("relay")
    with day.project.running("run", URL=url, **nowhere) as relay:
        relay.wait_for_log("`tidings status` does not see this")
        assert "idle_relay" in relay.err
        assert relay.terminate() == 0


@pytest.mark.parametrize(
    ("database", "right"), _parameters("relay", "pruner", of="journal"), indirect=["database"]
)
def test_without_one_of_them_the_journal_is_not_written_and_all_is_done(
    day: Day, right: Right
) -> None:
    day.record()
    for arguments in (["spread"], ["pause", "orders"]):
        day.succeed("relay", *arguments)
    day.database.revoke(right)
    command = ["resume", "orders"] if right.role == "relay" else ["prune", "--keep", "1"]
    url = day.database.url_of(right.role)
    done = day.project.run(*command, URL=url, TIDINGS_RELAY__JOURNAL_ENTRIES="1")
    assert done.code == 0
    assert "The journal cannot be written" in done.err
    assert "relay_journal" in done.err


@pytest.mark.parametrize(("database", "right"), _parameters("migrator"), indirect=["database"])
def test_without_one_of_them_no_tables_are_made_or_migrated(
    database: Granted, tmp_path: Path, right: Right
) -> None:
    database.grant("migrator")
    database.revoke(right)
    day = Day(database, tmp_path)
    if right.right == "ALTER":
        database.execute(*version_1(make_url(database.url).get_backend_name()))
        assert_sentence(day.run("migrator", "migrate"), _name(right))
        return
    assert_sentence(day.run("migrator", "init", "--tables"), _name(right))


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_the_rights_are_enough_to_migrate(database: Granted, tmp_path: Path) -> None:
    database.execute(*version_1(make_url(database.url).get_backend_name()))
    database.grant("migrator")
    database.grant("app", "relay", but_on=NEW_TABLES)
    day = Day(database, tmp_path)

    assert day.run("relay", "check").code == 1
    assert "`tidings migrate`" in day.run("relay", "check").out
    day.succeed("migrator", "migrate")
    database.grant("relay", "pruner")
    day.succeed("relay", "check")


@pytest.mark.parametrize(("database", "right"), _parameters("app"), indirect=["database"])
def test_without_one_of_them_an_application_cannot_record(day: Day, right: Right) -> None:
    day.database.revoke(right)
    with pytest.raises(DBAPIError, match=_name(right)):
        day.record()
    appended = day.project.run(
        "append", stdin='{"type_name": "A", "body": {}}', URL=day.database.url_of("app")
    )
    assert_sentence(appended, _name(right))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_status_sees_the_age_of_others_transactions_with_the_right_that_the_page_names(
    day: Day,
) -> None:
    engine = application(day.database)
    with Session(engine) as waiting, waiting.begin():
        record(waiting.connection(), NewEvent("Ordered", {}))
        day.record(1)

        def age() -> float:
            query = "SELECT extract(epoch FROM clock_timestamp() - now())"  # now(): its beginning
            return float(waiting.execute(text(query)).scalar_one())

        eventually(lambda: age() > 2, "a transaction that is two seconds old", 60)
        without = day.hold()
        day.database.grant_statistics("relay")
        with_it = day.hold()
    assert "pg_read_all_stats" in PAGE
    assert without["holder"] == with_it["holder"]
    assert without["seconds"] < 2 < with_it["seconds"]


def assert_sentence(result: Result, name: str) -> None:
    said = result.err or result.out
    assert result.code == 1, said
    assert "Traceback" not in said
    assert name in said
    assert " as user " in said
    assert "denies a right" in said or "tidings init --tables" in said  # MariaDB hides the table
    assert "secret" not in said
