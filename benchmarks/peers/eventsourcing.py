"""eventsourcing: a loop over its notification log, and pika with confirms."""
# What is imported is in the peer's environment, not in ours.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pika
import psycopg
from eventsourcing.application import Application
from eventsourcing.domain import DomainEvent
from eventsourcing.persistence import Tracking

from benchmarks.peers.task import Stopwatch, Task

SECTION = 1000
"""Notifications that are read, and marked as published, at once."""


class OrderPlaced(DomainEvent):  # type: ignore[misc] # the peer's types are not here
    """An event of an aggregate."""

    text: str


class Orders(Application):  # type: ignore[misc] # the peer's types are not here
    """The application that stores the events; its log gives them back in order."""

    log_section_size = SECTION


def environment(task: Task) -> dict[str, str]:
    """Return the settings of the application's database."""
    database = urlsplit(task.database_url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": database.path.lstrip("/"),
        "POSTGRES_HOST": database.hostname or "",
        "POSTGRES_PORT": str(database.port or 5432),
        "POSTGRES_USER": database.username or "",
        "POSTGRES_PASSWORD": database.password or "",
    }


def store(orders: Orders, task: Task, events: int) -> None:
    """Save events as an application does; their state as it is stored has the agreed size."""
    around = len(orders.mapper.to_stored_event(_event("")).state)
    text = task.text(around)
    for start in range(0, events, SECTION):
        orders.save(*(_event(text) for _ in range(min(SECTION, events - start))))
    with psycopg.connect(task.database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def drain(orders: Orders, tracked: Any, channel: Any, task: Task) -> int:
    """Publish what has not been, a section at a time; return how many events that were."""
    published = 0
    position = tracked.max_tracking_id("broker")
    while section := orders.notification_log.select(position, SECTION, inclusive_of_start=False):
        for notification in section:
            properties = pika.BasicProperties(
                content_type="application/json",
                delivery_mode=pika.DeliveryMode.Persistent,
                message_id=str(notification.id),
                type=notification.topic,
            )
            channel.basic_publish(
                task.destination, "", notification.state, properties, mandatory=True
            )
        position = section[-1].id
        tracked.insert_tracking(Tracking("broker", position))
        published += len(section)
    return published


def main(task: Task) -> None:
    """Store and carry the first events, then start the clock and carry the rest."""
    orders = Orders(environment(task))
    tracked = orders.factory.tracking_recorder()
    connection = pika.BlockingConnection(pika.URLParameters(task.broker_url))
    channel = connection.channel()
    channel.confirm_delivery()
    store(orders, task, task.warm_up)
    drain(orders, tracked, channel, task)
    store(orders, task, task.events)
    watch = Stopwatch()
    watch.report(drain(orders, tracked, channel, task))
    connection.close()
    orders.close()


def _event(text: str) -> OrderPlaced:
    return OrderPlaced(
        originator_id=uuid4(),
        originator_version=1,
        timestamp=OrderPlaced.create_timestamp(),
        text=text,
    )


if __name__ == "__main__":
    main(Task.given())
