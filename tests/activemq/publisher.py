"""A relay in a process of its own, to be killed: sends events 1, 2, 3, ... for ever.

Usage: python -m tests.activemq.publisher SETTINGS_JSON EXCHANGE POSITION_FILE

It goes on after what the broker says it holds, and keeps no position of its own: the broker's
word alone must do. It prints the id that it starts with.
"""

from __future__ import annotations

import json
import sys

from tests.activemq.sending import send
from tests.remembered import newest_id
from tidings.plugins import BrokerUnavailableError, ExchangeLockedError, NotAcceptedError
from tidings_activemq.producer import ActiveMQProducer
from tidings_activemq.settings import ActiveMQSettings


def main() -> None:
    producer = ActiveMQProducer(ActiveMQSettings(**json.loads(sys.argv[1])))
    while True:
        try:
            run(producer, sys.argv[2])
        except (BrokerUnavailableError, ExchangeLockedError, NotAcceptedError):
            producer.close(sys.argv[2])


def run(producer: ActiveMQProducer, exchange: str) -> None:
    producer.open(exchange)
    event_id = newest_id(producer, exchange) or 0
    print(event_id, flush=True)  # noqa: T201 - how it speaks to the test
    while True:
        event_id += 1
        send(producer, exchange, event_id)


if __name__ == "__main__":
    main()
