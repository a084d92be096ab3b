"""No command leaves a connection to the database for the interpreter to find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Project
    from tests.servers.given import DatabaseServer

CONFIGURATION = """
[event_store]
url = "{url}"
wake_up = true

[sources.outbox]
backend = "outbox"
url = "{url}"

[exchanges.orders]
producer = "jsonlines"

[exchanges.boxed]
producer = "jsonlines"
source = "outbox"

[producers.jsonlines]
path = "{{exchange}}.jsonl"
"""


@pytest.fixture
def on_postgresql(empty: Project, postgresql: DatabaseServer) -> Project:
    """Give a project whose driver says so if a connection was not closed."""
    empty.configure(CONFIGURATION.format(url=postgresql.new_database()))
    empty.succeed("init", "--tables")
    empty.append_numbers(1, 3)
    return empty


def left_open(project: Project, *arguments: str, code: int = 0) -> str:
    """Run a command in an interpreter of its own; return what it says of what is left open."""
    with project.running(*arguments) as command:
        assert command.process.wait(60) == code, command.err
        return "\n".join(line for line in command.err.splitlines() if "Warning" in line)


@pytest.mark.parametrize(
    "arguments",
    [
        ["init", "--tables"],
        ["schema"],
        ["check"],
        ["append"],
        ["status"],
        ["spread", "orders"],
        ["spread", "boxed", "--limit", "1"],
        ["run", "--limit", "2", "orders"],
        ["prune", "--keep", "1"],
        ["renumber"],
        ["migrate"],
        ["replay", "orders", "--all"],
        ["quarantine", "list"],
    ],
    ids=" ".join,
)
def test_a_command_that_ends_closes_its_connections(
    on_postgresql: Project, arguments: list[str]
) -> None:
    assert not left_open(on_postgresql, *arguments)


def test_a_command_that_fails_closes_its_connections(on_postgresql: Project) -> None:
    assert not left_open(on_postgresql, "replay", "nowhere", "--all", code=2)
