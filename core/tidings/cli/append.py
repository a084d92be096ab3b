"""``append``."""

from __future__ import annotations

import codecs
from datetime import datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.output import echo
from tidings.config import did_you_mean
from tidings.errors import InvalidEventError, TidingsError
from tidings.event import NewEvent, from_json

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS = ["type_name", "body", "occurred_on", "aggregate_id", "metadata"]
BATCH = 1000
STANDARD_INPUT = 0


@click.command()
@click.option(
    "--file",
    "file_name",
    default="-",
    metavar="FILE",
    help="JSON Lines to read; - is standard input.  [default: -]",
)
@pass_context
def append(context: Context, file_name: str) -> None:
    """Store events from JSON Lines, all or none.

    A line is {"type_name": …, "body": …} and, if wanted, "occurred_on" (RFC 3339),
    "aggregate_id" and "metadata" (an object).
    """
    store = context.tidings.event_store()
    count = 0
    try:
        with _opened(file_name) as file, store.transaction() as transaction:
            events = _events(file, file_name)
            while batch := list(islice(events, BATCH)):
                store.append(transaction, *batch)
                count += len(batch)
    finally:
        store.close()
    echo(f"{count} event(s) appended.")


def _opened(file_name: str) -> IO[bytes]:
    if file_name == "-":
        return open(STANDARD_INPUT, "rb", closefd=False)
    try:
        return open(file_name, "rb")  # noqa: PTH123 - the caller's with
    except OSError as error:
        raise TidingsError(f"Cannot read {file_name}: {error.strerror}.") from error


def _events(file: IO[bytes], file_name: str) -> Iterator[NewEvent]:
    where = "standard input" if file_name == "-" else file_name
    try:
        for number, read in enumerate(file, start=1):
            # With or without the mark that Windows' editors put in front.
            line = read.removeprefix(codecs.BOM_UTF8) if number == 1 else read
            if line.strip():
                try:
                    yield _event(line)
                except (ValueError, InvalidEventError, RecursionError) as error:
                    raise InvalidEventError(
                        f"{where}, line {number}: {error} Nothing was appended."
                    ) from error
    except OSError as error:
        raise TidingsError(f"Cannot read {where}: {error.strerror}.") from error


def _event(line: bytes) -> NewEvent:
    try:
        fields = from_json(line.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text ({error.reason}).") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise ValueError('a JSON object is wanted: {"type_name": …, "body": …}.')  # noqa: TRY004
    for key in fields:
        if key not in FIELDS:
            raise ValueError(f"unknown field {key!r}.{did_you_mean(key, FIELDS)}")
    for key in ("type_name", "body"):
        if key not in fields:
            raise ValueError(f"{key!r} is missing.")
    occurred_on = fields.pop("occurred_on", None)
    if occurred_on is not None:
        fields["occurred_on"] = _time(occurred_on)
    return NewEvent(**fields)


def _time(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError(
            f"occurred_on {text!r} is not a time such as 2026-01-31T12:00:00Z."
        ) from None
