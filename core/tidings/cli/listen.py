"""``listen``."""

from __future__ import annotations

import base64
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.options import COUNT, seconds
from tidings.cli.output import echo_json, end_torn_line
from tidings.errors import TidingsError
from tidings.event import from_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import ReceivedMessage

_EVENT_ID = re.compile("[0-9]{1,19}")


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
        end_torn_line()  # lest somebody's line and the first of ours are one, which nobody can read
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
