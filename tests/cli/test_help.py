"""What the command says of itself, at 80 columns."""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING

import pytest

from tidings import cli
from tidings.cli.main import COMMANDS

if TYPE_CHECKING:
    from tests.command import Project

SHARED = {"context", "exit_codes", "init_template", "main", "options", "output"}
SHARED |= {"statements", "stores"}


@pytest.mark.parametrize("command", ["", *COMMANDS, "quarantine retry"])
def test_no_line_of_the_help_is_cut_or_too_long(empty: Project, command: str) -> None:
    lines = empty.succeed(*command.split(), "--help", COLUMNS="80").out.splitlines()

    assert not [line for line in lines if line.rstrip().endswith("...") and "Usage" not in line]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("arguments", "meant"), [(["stauts"], "status"), (["quarantine", "lst"], "list")]
)
def test_a_misspelt_command_gets_a_hint(empty: Project, arguments: list[str], meant: str) -> None:
    result = empty.run(*arguments)

    assert result.code == 2
    assert f"There is no command {arguments[-1]!r}. Did you mean {meant!r}?" in result.err


def test_every_command_is_found_in_the_module_of_its_name() -> None:
    modules = {module.name for module in pkgutil.iter_modules(cli.__path__)}

    assert modules - SHARED == {name.replace("-", "_") for name in COMMANDS}
