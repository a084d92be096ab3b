"""docs/reference/commands.md: every command with its options, as click knows them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click
from scripts.reference.docstrings import WRITTEN, in_a_cell

from tidings.cli.main import tidings

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """\
# Commands and options

What `--help` says of every command. What a command prints, how it ends and what it does on a
signal: [The command line](../command-line.md).

{written}
"""


def page() -> str:
    """Return the whole page."""
    root = click.Context(tidings, info_name="tidings")
    return "\n".join([HEAD.format(written=WRITTEN), *_command(tidings, root), ""])


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## {context.command_path}\n"
    yield _prose(command.help or "")
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"\n```text\n{context.command_path} {usage}\n```\n"
    if options := list(_options(command, context)):
        yield "| option | |\n|---|---|"
        yield from options
        yield ""
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _command(inner, click.Context(inner, info_name=name, parent=context))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    # Arguments stand in the usage. They have a record, too, if click is new; it is empty.
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    for option in options:
        record = option.get_help_record(context)
        if record is not None and "--help" not in option.opts:
            yield f"| {in_a_cell(f'`{record[0]}`')} | {in_a_cell(record[1])} |"


def _prose(text: str) -> str:
    # What click is told not to wrap is an example.
    parts = inspect.cleandoc(text).split("\n\n")
    shown = [_block(part) if part.startswith("\b\n") else part for part in parts]
    return "\n\n".join(shown)


def _block(part: str) -> str:
    return f"```text\n{part.removeprefix(chr(8)).strip(chr(10))}\n```"
