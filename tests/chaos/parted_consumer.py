"""A consumer of partitions that may die at any moment: its effect is a line in a file.

Usage: python -m tests.chaos.parted_consumer CONFIGURATION EXCHANGE JSON EFFECTS

All processes write to one file, so that it shows in which order they handled what. JSON holds the
subscriber's name, and its routing keys and partitions if it chooses some.
"""

from __future__ import annotations

import json
import os
import sys

from tidings import Tidings
from tidings.plugins import DeliveryError, MessageConsumer


def main() -> None:
    configuration, exchange, wishes, file = sys.argv[1:]
    choice = json.loads(wishes)
    effects = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    consumer = Tidings.from_file(configuration).consumer(exchange, **choice)
    while True:
        try:
            read(consumer, exchange, choice["subscriber"], effects)
        except DeliveryError:
            consumer.close()


def read(consumer: MessageConsumer, exchange: str, subscriber: str, effects: int) -> None:
    consumer.open(exchange)
    while True:
        message = consumer.receive(60)
        if message is not None:
            line = f"{subscriber} {message.partition} {message.message_id} {message.routing_key}\n"
            os.write(effects, line.encode())
            consumer.acknowledge(message)


if __name__ == "__main__":
    main()
