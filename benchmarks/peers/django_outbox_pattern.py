"""django-outbox-pattern: its publish command's loop, to ActiveMQ over STOMP."""
# What is imported is in the peer's environment, not in ours.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command

from benchmarks.peers.task import Stopwatch, Task

CHUNK = 2000


def configure(task: Task) -> None:
    """Set Django up as its README says, with no pause between two looks at the table."""
    database, broker = urlsplit(task.database_url), urlsplit(task.broker_url)
    settings.configure(
        INSTALLED_APPS=["django_outbox_pattern"],
        USE_TZ=True,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": database.path.lstrip("/"),
                "USER": database.username,
                "PASSWORD": database.password or "",
                "HOST": database.hostname,
                "PORT": database.port,
            }
        },
        DJANGO_OUTBOX_PATTERN={
            "DEFAULT_STOMP_HOST_AND_PORTS": [(broker.hostname, broker.port)],
            "DEFAULT_STOMP_USERNAME": broker.username,
            "DEFAULT_STOMP_PASSCODE": broker.password,
            "DEFAULT_STOMP_VHOST": "/",
            "DEFAULT_PUBLISHED_CHUNK_SIZE": CHUNK,
            "DEFAULT_PRODUCER_WAITING_TIME": 0,
        },
    )
    django.setup()
    call_command("migrate", verbosity=0)


def main(task: Task) -> None:
    """Store and carry the first events, then start the clock and carry the rest."""
    configure(task)
    # The library reads its settings when it is imported.
    from django.db import connection, transaction  # noqa: PLC0415
    from django_outbox_pattern.choices import StatusChoice  # noqa: PLC0415
    from django_outbox_pattern.factories import factory_producer  # noqa: PLC0415
    from django_outbox_pattern.models import Published  # noqa: PLC0415

    body = {"text": task.text(len('{"text": ""}'))}
    producer = factory_producer()

    def store(events: int) -> None:
        with transaction.atomic():
            for _ in range(events):
                Published.objects.create(
                    destination=task.destination, body=body, headers={"persistent": "true"}
                )
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")

    def drain() -> None:
        while Published.objects.filter(status=StatusChoice.SCHEDULE).exists():
            producer.publish_message_from_database()

    store(task.warm_up)
    drain()
    store(task.events)
    watch = Stopwatch()
    drain()
    watch.report(task.events)


if __name__ == "__main__":
    main(Task.given())
