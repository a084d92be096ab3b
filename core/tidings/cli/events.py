"""``append`` and ``listen``."""

from __future__ import annotations

import base64
import json
import sys
import time
from datetime import datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import click

from tidings.cli.context import Context, pass_context
from tidings.config import did_you_mean
from tidings.errors import InvalidEventError, TidingsError
from tidings.event import NewEvent, from_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.interfaces import ReceivedMessage

FIELDS = ["type_name", "body", "occurred_on", "aggregate_id", "metadata"]
BATCH = 1000


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

    A line is {"type_name": …, "body": …} and, where wanted, "occurred_on" (RFC 3339),
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
    click.echo(f"{count} event(s) appended.")


@click.command()
@click.argument("exchange", required=False)
@click.option("--as", "subscriber", metavar="NAME", help="Which subscriber to be.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after N messages.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="S",
    help="Stop when no message has come for S seconds; with --count this is a failure.",
)
@pass_context
def listen(
    context: Context,
    exchange: str | None,
    subscriber: str | None,
    count: int | None,
    timeout: float | None,
) -> None:
    """Print what arrives at EXCHANGE, one JSON object a line, and acknowledge it."""
    name = context.exchange(exchange)
    consumer = context.tidings.consumer(name, subscriber)
    received = 0
    try:
        consumer.open(name)
        last = time.monotonic()
        while count is None or received < count:
            message = consumer.receive(_patience(timeout, last))
            if message is None:
                if timeout is not None and time.monotonic() - last >= timeout:
                    break
                continue
            click.echo(json.dumps(_as_line(message), ensure_ascii=False))
            consumer.acknowledge(message)
            received += 1
            last = time.monotonic()
    finally:
        consumer.close()
    if count is not None and received < count:
        raise TidingsError(
            f"Exchange {name!r}: {received} of {count} message(s) came; then none for "
            f"{timeout:g} s."
        )


def _patience(timeout: float | None, last: float) -> float:
    longest = 1.0
    return longest if timeout is None else min(max(last + timeout - time.monotonic(), 0), longest)


def _opened(file_name: str) -> IO[bytes]:
    if file_name == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return open(file_name, "rb")  # noqa: PTH123 - the caller's with
    except OSError as error:
        raise TidingsError(f"Cannot read {file_name}: {error.strerror}.") from error


def _events(file: IO[bytes], file_name: str) -> Iterator[NewEvent]:
    where = "standard input" if file_name == "-" else file_name
    try:
        for number, line in enumerate(file, start=1):
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


def _as_line(message: ReceivedMessage) -> dict[str, Any]:
    headers = dict(message.headers)
    line: dict[str, Any] = {
        "event_id": int(message.message_id) if message.message_id.isdigit() else message.message_id,
        "type_name": message.type_name,
        "occurred_on": message.occurred_on.isoformat() if message.occurred_on else None,
    }
    if "aggregate_id" in headers:
        line["aggregate_id"] = headers.pop("aggregate_id")
    if "metadata" in headers:
        line["metadata"] = _json_or_text(headers.pop("metadata"))
    if headers:
        line["headers"] = headers
    try:
        line["body"] = from_json(message.body)
    except ValueError:
        line["body_base64"] = base64.b64encode(message.body).decode()
    return line


def _json_or_text(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return text
