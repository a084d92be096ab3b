"""Bills orders from ActiveMQ, each once, as the subscriber `billing`.

    ACTIVEMQ_USER=… ACTIVEMQ_PASSWORD=… python activemq.py host 61613 sqlite:///billing.db orders

Needs stomp.py and tidings.
"""

from __future__ import annotations

import os
import sys
from queue import SimpleQueue

import stomp
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, insert
from sqlalchemy.orm import Session

from tidings import Inbox

metadata = MetaData()
bill_id = Column("bill_id", Integer, primary_key=True)
bill = Table("bill", metadata, bill_id, Column("event_type", Text), Column("details", Text))


class Arrivals(stomp.ConnectionListener):  # type: ignore[misc]  # stomp.py has no types
    """What stomp.py's own thread hears, for the main thread; ``None`` is the end."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[stomp.utils.Frame | None] = SimpleQueue()
        self.on_message = self.queue.put
        self.on_disconnected = lambda: self.queue.put(None)


def main(host: str, port: str, database_url: str, exchange_name: str) -> None:
    """Bill until the broker goes away; whoever started the program starts it again."""
    engine = create_engine(database_url)
    metadata.create_all(engine)
    Inbox.create(engine)
    inbox = Inbox("billing", exchange_name)
    arrivals = Arrivals()
    broker = stomp.Connection12([(host, int(port))], heartbeats=(10_000, 10_000))
    broker.set_listener("arrivals", arrivals)
    broker.connect(os.environ["ACTIVEMQ_USER"], os.environ["ACTIVEMQ_PASSWORD"], wait=True)
    queue = f"/queue/Consumer.billing.VirtualTopic.{exchange_name}"
    broker.subscribe(queue, id="billing", ack="client-individual")
    for frame in iter(arrivals.queue.get, None):
        with Session(engine) as session, session.begin():
            first = inbox.record(session, frame.headers["event-id"])
            if first:
                values = {"event_type": frame.headers["type"], "details": frame.body}
                session.execute(insert(bill).values(values))
        # Only now, when the transaction is committed: before that the message must come again.
        broker.ack(frame.headers["ack"])
        print(frame.headers["event-id"], "billed" if first else "was billed before", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
