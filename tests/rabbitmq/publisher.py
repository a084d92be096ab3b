"""A relay in a process of its own, to be killed: sends events 1, 2, 3, ... for ever.

Usage: python -m tests.rabbitmq.publisher SETTINGS_JSON EXCHANGE POSITION_FILE

Like the relay it tracks what was accepted (in a file), and goes on after that, or after what the
broker says it holds. It prints the id that it starts with.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.rabbitmq.client import send
from tests.remembered import newest_id
from tidings.plugins import DeliveryError, MessageProducer, Position
from tidings_rabbitmq.producer import RabbitMQProducer
from tidings_rabbitmq.settings import RabbitMQSettings

BATCH = 100


def main() -> None:
    settings = RabbitMQSettings(**json.loads(sys.argv[1]))
    run(RabbitMQProducer(settings), sys.argv[2], Path(sys.argv[3]), resume=settings.resume)


def run(producer: MessageProducer, exchange: str, file: Path, *, resume: str) -> None:
    tracked = int(file.read_text()) if file.exists() else 0
    open_when_free(producer, exchange)
    remembered = newest_id(producer, exchange) if resume == "tail" else None
    event_id = max(tracked, remembered or 0)
    sys.stdout.write(f"{event_id + 1}\n")
    sys.stdout.flush()
    while True:
        for _ in range(BATCH):
            event_id += 1
            send(producer, exchange, event_id)
        track(file, producer.accepted_id(exchange))


def open_when_free(producer: MessageProducer, exchange: str) -> None:
    while True:
        try:
            producer.open(exchange, Position())
        except DeliveryError as error:  # locked, or a broker that has just been started
            if not error.transient:
                raise
        else:
            return


def track(file: Path, accepted: int | None) -> None:
    if accepted is not None:
        new = file.with_suffix(".new")
        new.write_text(str(accepted))
        new.replace(file)  # a kill leaves the old position or the new one, never half of it


if __name__ == "__main__":
    main()
