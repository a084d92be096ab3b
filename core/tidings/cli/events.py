"""``append`` and ``listen``."""

from __future__ import annotations

import base64
import codecs
import re
import time
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.numbers import COUNT, seconds
from tidings.cli.output import echo, echo_json
from tidings.config import did_you_mean
from tidings.errors import InvalidEventError, TidingsError
from tidings.event import NewEvent, from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.interfaces import ReceivedMessage

FIELDS = ["type_name", "body", "occurred_on", "aggregate_id", "metadata"]
BATCH = 1000
STANDARD_INPUT = 0
_EVENT_ID = re.compile("[0-9]{1,19}")


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


@click.command()
@click.argument("exchange", required=False)
@click.option("--as", "subscriber", metavar="NAME", help="Which subscriber to be.")
@click.option(
    "--routing-key",
    "routing_keys",
    multiple=True,
    metavar="KEY",
    help="Only messages with this routing key, in the broker's wildcards; may be given again.",
)
@click.option(
    "--partition",
    "partitions",
    type=click.IntRange(min=0),
    multiple=True,
    metavar="N",
    help="Only messages of this partition, from 0 on; may be given again.",
)
@click.option("--count", type=COUNT, metavar="N", help="Stop after N messages.")
@click.option(
    "--timeout",
    type=seconds,
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
    *,
    routing_keys: tuple[str, ...],
    partitions: tuple[int, ...],
) -> None:
    """Print what arrives at EXCHANGE, one JSON object a line, and acknowledge it."""
    from tidings.relay.kept_connection import KeptConnection  # noqa: PLC0415 - not for --help

    name = context.exchange(exchange)
    consumer = context.tidings.consumer(name, subscriber, routing_keys, partitions)
    received = 0
    try:
        consumer.open(name)
        last = time.monotonic()
        # Whoever reads our output may pause for as long as they like.
        with KeptConnection(consumer.wait, name) as kept:
            while count is None or received < count:
                message = consumer.receive(_patience(timeout, last))
                if message is None:
                    if timeout is not None and time.monotonic() - last >= timeout:
                        break
                    continue
                with kept.during_call():
                    _print(message)
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


def _print(message: ReceivedMessage) -> None:
    try:
        echo_json(_as_line(message, from_json), indent=None)
    except (ValueError, RecursionError):
        # JSON that can be read may still not be written: 1e999, or what is nested to the limit.
        echo_json(_as_line(message, _as_it_came), indent=None)


def _as_it_came(_text: str | bytes) -> NoReturn:
    raise ValueError("it is not looked into")


def _as_line(message: ReceivedMessage, read: Callable[[str | bytes], Any]) -> dict[str, Any]:
    headers = dict(message.headers)
    line: dict[str, Any] = {
        "event_id": _as_number(message.message_id),
        "type_name": message.type_name,
        "occurred_on": message.occurred_on.isoformat() if message.occurred_on else None,
    }
    if message.routing_key:
        line["routing_key"] = message.routing_key
    if message.partition is not None:
        line["partition"] = message.partition
    if "aggregate_id" in headers:
        line["aggregate_id"] = headers.pop("aggregate_id")
    if "metadata" in headers:
        line["metadata"] = text = headers.pop("metadata")
        with suppress(ValueError):
            line["metadata"] = read(text)
    if headers:
        line["headers"] = headers
    try:
        line["body"] = read(message.body)
    except ValueError:
        line["body_base64"] = base64.b64encode(message.body).decode()
    return line


def _as_number(message_id: str) -> int | str:
    """Return an event's id; another program's may be any text, also digits of any script."""
    return int(message_id) if _EVENT_ID.fullmatch(message_id) else message_id
