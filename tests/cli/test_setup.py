from __future__ import annotations

import sqlite3
import tomllib
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.command import PATIENCE
from tests.servers import free_port

if TYPE_CHECKING:
    from tests.command import Project
    from tests.servers.given import DatabaseServer


def test_init_leaves_something_that_works_at_once(empty: Project) -> None:
    empty.succeed("init")
    empty.append_numbers(1, 2)

    result = empty.succeed("spread")

    assert len(result.lines) == 2
    assert result.err == "2 notification(s) sent!\n"


@pytest.mark.parametrize("producer", ["jsonlines", "rabbitmq", "activemq", "zeromq"])
def test_init_writes_a_commented_configuration_for_each_producer(
    empty: Project, producer: str
) -> None:
    empty.succeed("init", "--producer", producer)

    text = (empty.folder / "tidings.toml").read_text()
    assert tomllib.loads(text)["exchanges"]["my-bc-app"]["producer"] == producer
    assert text.count("\n#") > 3
    empty.succeed("status")


def test_init_writes_a_file_that_its_owner_alone_may_read(empty: Project) -> None:
    empty.succeed("init")

    assert (empty.folder / "tidings.toml").stat().st_mode & 0o777 == 0o600


def test_a_second_init_changes_nothing_and_says_so(empty: Project) -> None:
    empty.succeed("init")
    before = (empty.folder / "tidings.toml").read_text()

    result = empty.run("init", "--producer", "rabbitmq")

    assert result.code == 1
    assert "exists already" in result.err
    assert (empty.folder / "tidings.toml").read_text() == before


def test_init_for_an_unknown_producer_writes_nothing(empty: Project) -> None:
    result = empty.run("init", "--producer", "rabitmq")

    assert result.code == 2
    assert "Did you mean 'rabbitmq'?" in result.err
    assert not (empty.folder / "tidings.toml").exists()


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


def test_check_shows_every_problem_of_the_configuration_at_once(empty: Project) -> None:
    empty.configure(
        '[event_stor]\nurl = "x"\n[event_store]\nurl = "nothing"\n'
        '[exchanges.orders]\nproducer = "jsonline"\nbatch_sise = 3\n'
    )

    result = empty.run("check")

    assert result.code == 2
    for hint in ("event_stor:", "event_store.url", "'jsonlines'", "'batch_size'"):
        assert hint in result.out


@pytest.mark.parametrize(
    ("command", "library", "extra"),
    [
        ("spread", "rstream", "rabbitmq-stream"),
        ("run", "rstream", "rabbitmq-stream"),
        ("check", "rstream", "rabbitmq-stream"),
        ("status", "psycopg", "postgresql"),
        ("check", "psycopg", "postgresql"),
    ],
)
def test_a_library_that_is_not_installed_is_wrong_use_and_no_failure(
    empty: Project, command: str, library: str, extra: str
) -> None:
    url = "postgresql://h/d" if library == "psycopg" else "sqlite:///events.db"
    empty.configure(
        f'[event_store]\nurl = "{url}"\n[exchanges.orders]\nproducer = "rabbitmq-stream"\n'
        '[producers.rabbitmq-stream]\nurl = "rabbitmq-stream://localhost/"\n'
    )
    if library != "psycopg":
        empty.succeed("init", "--tables")
    hides = f"import sys\nsys.modules[{library!r}] = None\n"
    (empty.folder / "sitecustomize.py").write_text(hides)

    with empty.running(command, PYTHONPATH=str(empty.folder)) as running:
        code = running.process.wait(PATIENCE)

    assert code == 2, running.err
    assert f"pip install 'tidings[{extra}]'" in running.out + running.err


def test_no_configuration_is_told_with_what_to_do(empty: Project) -> None:
    result = empty.run("status")

    assert result.code == 2
    assert "tidings init" in result.err


def test_a_setting_without_a_default_is_not_shown_as_an_empty_text(empty: Project) -> None:
    empty.succeed("init", "--producer", "rabbitmq")

    text = (empty.folder / "tidings.toml").read_text()
    assert "\n# ca_file = …    (not set)\n" in text
    assert '\n# ca_file = ""' not in text


def test_where_no_id_was_given_out_again_renumber_changes_nothing(project: Project) -> None:
    project.append_numbers(1, 3)
    assert project.succeed("renumber").out == "event store: 0 event(s) got new ids.\n"
    assert project.status("orders")["newest_event_id"] == 3


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


def test_a_mistyped_schema_gets_a_hint(empty: Project) -> None:
    empty.configure('[event_store]\nurl = "sqlite:///events.db"\nschemas = "messaging"\n')

    assert "Did you mean 'schema'?" in empty.run("status").err


def test_a_file_that_is_shared_with_the_relay_serves_a_consumer_without_its_variables(
    empty: Project,
) -> None:
    empty.configure(
        '[event_store]\nurl = "${EVENTS_URL}"\n[exchanges.orders]\nproducer = "zeromq"\n'
        f'[producers.zeromq]\nbind = "tcp://127.0.0.1:{free_port()}"'
    )
    lack = "event_store.url: the environment variable EVENTS_URL is not set."

    assert empty.succeed("listen", "--timeout", "0.2").err == ""
    check, run = empty.run("check"), empty.run("run")
    assert (check.code, run.code) == (2, 2)
    assert lack in check.out
    assert lack in run.err


def test_a_consumer_does_without_the_variables_of_other_exchanges(empty: Project) -> None:
    empty.configure(
        '[event_store]\nurl = "sqlite:///events.db"\n[exchanges.orders]\nproducer = "zeromq"\n'
        '[exchanges.audit]\nproducer = "rabbitmq"\n[producers.rabbitmq]\nurl = "${MQ_URL}"\n'
        f'[producers.zeromq]\nbind = "tcp://127.0.0.1:{free_port()}"'
    )
    lack = "producers.rabbitmq.url: the environment variable MQ_URL is not set."

    assert empty.succeed("listen", "orders", "--timeout", "0.2").err == ""
    for command in (["listen", "audit"], ["run", "orders"], ["status"], ["init", "--tables"]):
        result = empty.run(*command)
        assert (result.code, result.err.count(lack)) == (2, 1)


def test_what_is_missing_names_the_file(empty: Project) -> None:
    empty.configure('[exchanges.orders]\nproducer = "jsonlines"\n')

    assert "tidings.toml: event_store.url: missing." in empty.run("status").err
