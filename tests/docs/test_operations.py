"""What the operator's page says of restores, upgrades and another broker, done as it says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
import tomllib
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.command import Project
from tests.docs.pages import ROOT, codes, rows, text_of
from tests.docs.rights import PAGE
from tests.servers import free_port
from tests.sql.databases import application_engine, event_store
from tidings import NewEvent
from tidings.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.given import StreamBroker

PROJECT = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]

CONFIGURATION = """
[event_store]
url = "sqlite:///events.db"

[exchanges.orders]
producer = "old"

[producers.old]
backend = "jsonlines"
path = "old.jsonl"

[producers.new]
backend = "jsonlines"
path = "new.jsonl"
"""
SIDE_BY_SIDE = '[exchanges.beside]\nproducer = "new"\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.configure(CONFIGURATION)
    project.succeed("init", "--tables")
    return project


def sent(project: Project, file: str = "old") -> list[int]:
    path = project.folder / f"{file}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["event_id"] for line in lines]


def execute(project: Project, statement: str) -> None:
    with closing(sqlite3.connect(project.folder / "events.db")) as connection, connection:
        connection.execute(statement)


def begin_at_5000(row: str) -> str:
    (statement,) = re.finditer(rf"\| {row} \| `(.*)` \|", PAGE)
    return statement[1]


@pytest.fixture
def restored(project: Project) -> Project:
    """Give a database as it was after the first of three events that were sent."""
    project.append_numbers(1, 1)
    project.succeed("spread")
    backup = project.folder / "backup.db"
    with closing(sqlite3.connect(project.folder / "events.db")) as live:
        live.execute("VACUUM INTO ?", [str(backup)])
    project.append_numbers(2, 3)
    project.succeed("spread")
    for file in project.folder.glob("events.db*"):
        file.unlink()
    shutil.copy(backup, project.folder / "events.db")
    return project


@pytest.mark.parametrize("first", ["the relay", "an application"])
def test_a_restored_database_goes_on_with_nothing_lost_or_sent_twice(
    restored: Project, first: str
) -> None:
    execute(restored, begin_at_5000("SQLite"))
    restored.succeed("replay", "orders", "--from", "4")
    if first == "the relay":
        assert "the event store ends with event 1" in restored.run("spread").err
    restored.append_numbers(4, 4)
    restored.succeed("spread")
    assert sent(restored) == [1, 2, 3, 5001]


def test_an_event_of_the_backup_that_was_never_sent_goes_out_after_all(restored: Project) -> None:
    restored.succeed("replay", "orders", "--from", "1")
    restored.succeed("spread")
    assert sent(restored) == [1, 2, 3, 1]


def test_a_relay_stops_that_is_started_on_a_restored_database_without_a_word(
    restored: Project,
) -> None:
    refused = restored.run("spread")
    assert refused.code == 1
    assert "the broker already has event 3" in refused.err
    restored.append_numbers(4, 6)
    assert restored.run("spread").code == 1
    restored.succeed("replay", "orders", "--from", "2")
    restored.succeed("spread")
    assert sent(restored) == [1, 2, 3, 2, 3, 4]


@pytest.mark.parametrize(
    ("database_url", "row"),
    [("sqlite", "SQLite"), ("postgresql", "PostgreSQL"), ("mariadb", "MySQL, MariaDB")],
    indirect=["database_url"],
)
def test_the_statement_lets_ids_begin_above_on_each_database(database_url: str, row: str) -> None:
    store, engine = event_store(database_url), application_engine(database_url)
    store.create()
    with engine.begin() as connection:
        store.append(connection, NewEvent("A", {}))
    with engine.begin() as connection:
        connection.exec_driver_sql(begin_at_5000(row))
    store.check()
    with engine.begin() as connection:
        store.append(connection, NewEvent("A", {}))
    read = [event.event_id for event in store.all_stored_events_since(0, 10)]
    store.close()
    assert read[0] == 1
    assert read[1] in {5000, 5001}


def test_an_exchange_goes_on_at_another_broker_where_it_had_got_to(project: Project) -> None:
    project.append_numbers(1, 2)
    project.succeed("spread")
    project.configure(CONFIGURATION.replace('producer = "old"', 'producer = "new"'))
    project.append_numbers(3, 4)
    project.succeed("spread")
    assert (sent(project, "old"), sent(project, "new")) == ([1, 2], [3, 4])
    project.succeed("replay", "orders", "--all")
    project.succeed("spread")
    assert sent(project, "new") == [3, 4, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("replay", "expected"), [([], [1, 2, 3]), (["--from", "3", "--skip"], [3])]
)
def test_a_second_exchange_begins_with_the_oldest_or_where_a_replay_says(
    project: Project, replay: list[str], expected: list[int]
) -> None:
    project.append_numbers(1, 3)
    project.succeed("spread")
    project.configure(CONFIGURATION + SIDE_BY_SIDE)
    if replay:
        project.succeed("replay", "beside", *replay)
    project.succeed("spread", "beside")
    project.succeed("spread", "orders")
    assert (sent(project, "old"), sent(project, "new")) == ([1, 2, 3], expected)


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [(-1, "older than this tidings"), (1, "newer than this tidings")],
)
@pytest.mark.parametrize(
    "command", ["check", "status", "spread", "prune --keep 1", "init --tables"]
)
def test_tables_of_another_version_are_not_touched_but_take_events(
    project: Project, command: str, difference: int, sentence: str
) -> None:
    assert sentence in PAGE.replace("\n", " ")
    execute(project, f"UPDATE tidings_schema SET version = version + {difference}")
    project.append_numbers(1, 1)
    result = project.run(*command.split())
    assert result.code == 1
    assert sentence in result.out + result.err
    assert sent(project) == []


def test_status_shows_a_position_beyond_the_newest_event(project: Project) -> None:
    project.append_numbers(1, 3)
    project.succeed("spread")
    execute(project, "DELETE FROM event WHERE event_id > 1")
    shown = project.status("orders")
    assert (shown["last_published_id"], shown["newest_event_id"]) == (3, 1)
    assert shown["events_behind"] == 0


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Return every `tidings` command of the page's blocks, in their order."""
    lines = "".join(blocks("sh")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("tidings ")]


def test_the_pages_commands_do_what_they_say_in_their_order(
    tmp_path: Path, rabbitmq: StreamBroker
) -> None:
    exchange = f"orders-{uuid.uuid4().hex}"
    project = Project(tmp_path)
    configuration = "".join(blocks("toml")).replace("orders", exchange)
    project.configure(configuration.replace("9464", str(free_port())))
    environment = {
        "TIDINGS_EVENT_STORE__URL": "sqlite:///events.db",
        "TIDINGS_PRODUCERS__RABBITMQ__URL": rabbitmq.url,
    }
    asked = [[exchange if word == "orders" else word for word in each] for each in commands()]
    start = asked.index(["run"])

    for command in asked[:start]:
        project.succeed(*command, **environment)
    with project.running("run", **environment) as relay:
        eventually(lambda: project.run("health", "--is", "ready", **environment).code == 0)
        for command in asked[start + 1 :]:
            project.succeed(*command, **environment)
        assert relay.terminate() == 0

    assert ["health", "--is", "ready"] in asked[start:]
    assert "lease taken" in project.succeed("journal", exchange, **environment).out


def test_what_is_to_be_installed_is_ours() -> None:
    (line,) = [each for each in "".join(blocks("sh")).splitlines() if "pip install" in each]
    (extras,) = re.findall(r"'tidings\[(.*)\]'", line)

    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_every_state_is_among_what_may_be_wrong() -> None:
    table = PAGE.partition("## If something is wrong")[2]
    page = text_of(ROOT / "docs" / "command-line.md")
    states = re.findall(
        r"^\| `([a-z ]+)` \|", page.partition("| `state` | meaning |")[2], re.MULTILINE
    )

    assert "failing" in states
    assert set(states) <= set(codes(" ".join(row[0] for row in rows(table))))
