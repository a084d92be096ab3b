"""Bills orders from RabbitMQ, each once.

    python rabbitmq.py amqp://user:password@host/ sqlite:///billing.db orders

Reads the queue of the exchange's name, which tidings fills. Needs pika and tidings.
"""

from __future__ import annotations

import sys

import pika
from sqlalchemy import Column, Integer, MetaData, Table, Text, create_engine, insert
from sqlalchemy.orm import Session

from tidings import Inbox

metadata = MetaData()
bill_id = Column("bill_id", Integer, primary_key=True)
bill = Table("bill", metadata, bill_id, Column("event_type", Text), Column("details", Text))


def main(broker_url: str, database_url: str, exchange_name: str) -> None:
    """Bill until the broker goes away; whoever started the program starts it again."""
    engine = create_engine(database_url)
    metadata.create_all(engine)
    Inbox.create(engine)
    inbox = Inbox("billing", exchange_name)
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        channel = connection.channel()
        channel.queue_declare(exchange_name, durable=True)
        channel.basic_qos(prefetch_count=100)
        for method, properties, body in channel.consume(exchange_name):
            with Session(engine) as session, session.begin():
                first = inbox.record(session, properties.message_id)
                if first:
                    values = {"event_type": properties.type, "details": body.decode()}
                    session.execute(insert(bill).values(values))
            # Only now, when the transaction is committed: before that the message must come again.
            channel.basic_ack(method.delivery_tag)
            print(properties.message_id, "billed" if first else "was billed before", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
