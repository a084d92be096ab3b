"""Who reads a parted exchange: processes that note what they handle, then acknowledge it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from tests.chaos.backends import EXCHANGE
from tests.chaos.process import log_into
from tidings.bootstrap import Tidings
from tidings.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Reader(NamedTuple):
    """One process, and what it asks for; all partitions, and all routing keys, if for none."""

    name: str
    subscriber: str | None = None
    partitions: Sequence[int] = ()
    routing_keys: Sequence[str] = ()


class Handled(NamedTuple):
    """One event that a reader has handled, and what the message said of it."""

    reader: str
    event_id: int
    partition: int
    key: str
    routing_key: str


def read(folder: Path, reader: Reader) -> None:
    """Handle what comes, and go on after each failure: note it in a file, then acknowledge.

    All readers write to one file, so that it shows in which order they handled what.
    """
    os.chdir(folder)
    log_into(folder)
    file = os.open("handled", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with Tidings.from_file("direct.toml", environ={}) as tidings:
        consumer = tidings.consumer(
            EXCHANGE, reader.subscriber, reader.routing_keys, reader.partitions
        )
        while True:
            try:
                consumer.open(EXCHANGE)
                while True:
                    message = consumer.receive(1.0)
                    if message is not None:
                        key = message.headers.get("aggregate_id", "-")
                        line = f"{message.message_id} {message.partition} {key}"
                        routing_key = message.routing_key or "-"
                        os.write(file, f"{reader.name} {line} {routing_key}\n".encode())
                        consumer.acknowledge(message)
            except DeliveryError:
                consumer.close()
                time.sleep(0.2)  # as a service that is started again


def handled(folder: Path) -> Sequence[Handled]:
    """Return what all readers have handled, in the order in which they did."""
    file = folder / "handled"
    text = file.read_text() if file.exists() else ""
    # Of what is just being written only a part may be seen.
    lines = [line.split() for line in text.rpartition("\n")[0].splitlines()]
    return [
        Handled(name, int(event_id), int(partition), key, routing_key)
        for name, event_id, partition, key, routing_key in lines
    ]
