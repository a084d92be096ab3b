"""What every command says of a configuration, tables or libraries that are not as they must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.command import PATIENCE

if TYPE_CHECKING:
    from tests.command import Project


def test_a_missing_table_is_told_with_what_to_do(empty: Project) -> None:
    empty.configure(
        '[event_store]\nurl = "sqlite:///none.db"\n[exchanges.orders]\nproducer = "jsonlines"\n'
    )

    for command in (["spread"], ["status"], ["append"]):
        result = empty.run(*command, stdin='{"type_name": "A", "body": 1}')

        assert result.code == 1
        assert "tidings init" in result.err


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


def test_a_mistyped_schema_gets_a_hint(empty: Project) -> None:
    empty.configure('[event_store]\nurl = "sqlite:///events.db"\nschemas = "messaging"\n')

    assert "Did you mean 'schema'?" in empty.run("status").err


def test_what_is_missing_names_the_file(empty: Project) -> None:
    empty.configure('[exchanges.orders]\nproducer = "jsonlines"\n')

    assert "tidings.toml: event_store.url: missing." in empty.run("status").err


def test_no_such_exchange_is_told_with_a_hint(two: Project) -> None:
    for command in (["spread", "ordres"], ["run", "ordres"], ["replay", "ordres", "--all"]):
        result = two.run(*command)

        assert result.code == 2
        assert "Did you mean 'orders'?" in result.err
