"""A relay that may die at any moment: publishes events, and tracks what was accepted in a file.

Arguments: address, exchange, tracker file, number of events, subscribers (with commas), settings
as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.zeromq.events import event
from tidings.plugins import (
    DeliveryError,
    ExchangeLockedError,
    Notification,
    Position,
    ProducerContext,
)
from tidings_zeromq.producer import ZeroMQProducer
from tidings_zeromq.settings import ZeroMQSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = 200


def main() -> None:
    address, exchange, tracker, last, subscribers, options = sys.argv[1:]
    settings = ZeroMQSettings(
        bind=address, subscribers=subscribers.split(","), **json.loads(options)
    )

    def since(_exchange: str, event_id: int, limit: int) -> Sequence[Notification]:
        return [event(each) for each in range(event_id + 1, min(int(last), event_id + limit) + 1)]

    producer = ZeroMQProducer(settings, ProducerContext(since))
    while True:
        try:
            relay(producer, exchange, Path(tracker), int(last))
        except ExchangeLockedError:
            time.sleep(0.02)  # the one before is not quite gone
        except DeliveryError as error:
            print(error, flush=True)  # noqa: T201 - the test reads it
            producer.close(exchange)


def relay(producer: ZeroMQProducer, exchange: str, tracker: Path, last: int) -> None:
    tracked = int(tracker.read_text()) if tracker.exists() else 0
    producer.open(exchange, Position(tracked))
    for event_id in range(tracked + 1, last + 1):
        producer.send(exchange, *event(event_id))
        if event_id % BATCH == 0:
            track(tracker, producer.accepted_id(exchange))
    producer.flush(exchange)
    track(tracker, producer.accepted_id(exchange))
    while True:
        producer.wait(exchange, 60)


def track(tracker: Path, accepted: int | None) -> None:
    if accepted is not None:
        new = tracker.with_suffix(".new")
        new.write_text(str(accepted))
        os.replace(new, tracker)  # noqa: PTH105 - as atomic as it looks


if __name__ == "__main__":
    main()
