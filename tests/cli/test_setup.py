from __future__ import annotations

import sqlite3
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.servers import free_port

if TYPE_CHECKING:
    from tests.command import Project
    from tests.servers.given import DatabaseServer


def test_init_leaves_something_that_works_at_once(empty: Project) -> None:
    empty.succeed("init")
    empty.append_numbers(1, 2)

    result = empty.succeed("spread")

    *lines, sentence = result.out.splitlines()
    assert len(lines) == 2
    assert sentence == "2 notification(s) sent!"


@pytest.mark.parametrize("producer", ["jsonlines", "rabbitmq", "activemq", "zeromq"])
def test_init_writes_a_commented_configuration_for_each_producer(
    empty: Project, producer: str
) -> None:
    empty.succeed("init", "--producer", producer)

    text = (empty.folder / "tidings.toml").read_text()
    assert tomllib.loads(text)["exchanges"]["my-bc-app"]["producer"] == producer
    assert text.count("\n#") > 3
    empty.succeed("status")


def test_a_second_init_changes_nothing_and_says_so(empty: Project) -> None:
    empty.succeed("init")
    before = (empty.folder / "tidings.toml").read_text()

    result = empty.run("init", "--producer", "rabbitmq")

    assert result.code == 1
    assert "exists already" in result.err
    assert (empty.folder / "tidings.toml").read_text() == before


def test_init_for_an_unknown_producer_writes_nothing(empty: Project) -> None:
    result = empty.run("init", "--producer", "rabitmq")

    assert result.code == 1
    assert "Did you mean 'rabbitmq'?" in result.err
    assert not (empty.folder / "tidings.toml").exists()


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


def test_a_missing_table_is_told_with_what_to_do(empty: Project) -> None:
    empty.configure(
        '[event_store]\nurl = "sqlite:///none.db"\n[exchanges.orders]\nproducer = "jsonlines"\n'
    )

    for command in (["spread"], ["status"], ["append"]):
        result = empty.run(*command, stdin='{"type_name": "A", "body": 1}')

        assert result.code == 1
        assert "tidings init" in result.err


def test_check_names_each_part_and_fails_with_the_broker(project: Project) -> None:
    assert project.succeed("check").out.count("ok ") == 4

    port = free_port()
    result = project.run(
        "check",
        TIDINGS_EXCHANGES__ORDERS__PRODUCER="rabbitmq",
        TIDINGS_PRODUCERS__RABBITMQ__URL=f"amqp://app:geheim@127.0.0.1:{port}/",
    )

    assert result.code == 1
    assert "FAILED  exchange orders" in result.out
    assert str(port) in result.out
    assert "geheim" not in result.out + result.err


def test_check_shows_every_fault_of_the_configuration_at_once(empty: Project) -> None:
    empty.configure(
        '[event_stor]\nurl = "x"\n[event_store]\nurl = "nothing"\n'
        '[exchanges.orders]\nproducer = "jsonline"\nbatch_sise = 3\n'
    )

    result = empty.run("check")

    assert result.code == 1
    for hint in ("event_stor:", "event_store.url", "'jsonlines'", "'batch_size'"):
        assert hint in result.out


def test_no_configuration_is_told_with_what_to_do(empty: Project) -> None:
    result = empty.run("status")

    assert result.code == 2
    assert "tidings init" in result.err


def test_a_setting_without_a_default_is_not_shown_as_an_empty_text(empty: Project) -> None:
    empty.succeed("init", "--producer", "rabbitmq")

    text = (empty.folder / "tidings.toml").read_text()
    assert "\n# ca_file = …    (not set)\n" in text
    assert '\n# ca_file = ""' not in text
