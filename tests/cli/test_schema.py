from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect, text

if TYPE_CHECKING:
    from tests.command import Project
    from tests.servers.given import DatabaseServer


@pytest.mark.parametrize(
    ("dialect", "word"),
    [
        ("postgresql", "GENERATED ALWAYS AS IDENTITY"),
        ("mysql", "utf8mb4_bin"),
        ("sqlite", "AUTOIN"),
    ],
)
def test_the_statements_for_any_database_need_no_configuration(
    empty: Project, dialect: str, word: str
) -> None:
    result = empty.succeed("schema", "--dialect", dialect)

    assert word in result.out
    assert "INSERT INTO tidings_schema" in result.out
    assert ("event_append_lock" in result.out) is (dialect == "mysql")


def test_the_statements_for_any_database_have_the_names_of_a_configuration(empty: Project) -> None:
    empty.configure(
        '[event_store]\nurl = "${NOBODY_SET_IT}"\ntable_name = "domain_event"\n'
        'schema = "messaging"\nwake_up = true\n'
    )

    result = empty.succeed("schema", "--dialect", "postgresql").out
    assert "CREATE TABLE messaging.domain_event (" in result
    assert 'INSERT ON "messaging"."domain_event"' in result
    assert (
        "CREATE TABLE messaging.domain_event (" in empty.succeed("schema", "--dialect", "mysql").out
    )
    refused = empty.run("schema", "--dialect", "sqlite")
    assert (refused.code, refused.err.count("SQLite has no schemas")) == (2, 1)


def test_the_printed_schema_makes_the_tables(project: Project) -> None:
    ddl = project.succeed("schema").out

    with sqlite3.connect(project.folder / "other.db") as database:
        database.executescript(ddl)
    database.close()
    other = {"TIDINGS_EVENT_STORE__URL": "sqlite:///other.db"}
    event = '{"type_name": "A", "body": 1}'
    assert project.succeed("append", stdin=event, **other).out == "1 event(s) appended.\n"


def test_the_schema_speaks_the_configured_database(
    project: Project, postgresql: DatabaseServer
) -> None:
    url = postgresql.new_database()

    ddl = project.succeed("schema", TIDINGS_EVENT_STORE__URL=url).out

    assert "TIMESTAMP WITH TIME ZONE" in ddl


def test_the_events_table_may_have_another_name_in_a_schema(
    empty: Project, postgresql: DatabaseServer
) -> None:
    url = postgresql.new_database()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA messaging"))
        connection.execute(text("CREATE TABLE event (title text)"))
    empty.configure(
        f'[event_store]\nurl = "{url}"\ntable_name = "domain_event"\nschema = "messaging"\n'
        '[exchanges.orders]\nproducer = "jsonlines"\n[producers.jsonlines]\npath = "out.jsonl"\n'
    )
    empty.succeed("init", "--tables")
    empty.succeed("check")
    empty.append_numbers(1, 2)

    assert "2 notification(s) sent!" in empty.succeed("spread").out
    assert "CREATE TABLE messaging.domain_event" in empty.succeed("schema").out
    assert inspect(engine).get_table_names() == ["event"]
    engine.dispose()
