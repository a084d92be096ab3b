"""Bills orders from ZeroMQ, each once, as the subscriber `billing`.

    python zeromq.py tcp://relay:5556 sqlite:///billing.db orders

Needs tidings[zeromq].
"""

from __future__ import annotations

import sys

from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, insert
from sqlalchemy.orm import Session

from tidings import Inbox
from tidings_zeromq import Subscriber

metadata = MetaData()
bill_id = Column("bill_id", Integer, primary_key=True)
bill = Table("bill", metadata, bill_id, Column("event_type", Text), Column("details", Text))


def main(relay: str, database_url: str, exchange_name: str) -> None:
    """Bill for ever; the relay may come and go."""
    engine = create_engine(database_url)
    metadata.create_all(engine)
    Inbox.create(engine)
    inbox = Inbox("billing", exchange_name)
    with Subscriber(connect=relay, exchange_name=exchange_name, name="billing") as subscriber:
        for message in subscriber:
            with Session(engine) as session, session.begin():
                first = inbox.record(session, message.message_id)
                if first:
                    values = {"event_type": message.type_name, "details": message.body.decode()}
                    session.execute(insert(bill).values(values))
            # Only now, when the transaction is committed: before that the message must come again.
            subscriber.acknowledge(message)
            print(message.message_id, "billed" if first else "was billed before", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
