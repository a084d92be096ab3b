"""One open exchange: a stream.

The entry of event 11 has the id ``0-11``; each replay puts a greater number before the dash. Redis
takes ids only in ascending order: whatever arrives late or twice, it refuses itself.
"""

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

import redis

from tidings.plugins import (
    Accepted,
    ExchangeContext,
    Notification,
    OpenExchange,
    UndeliverableEventError,
    fingerprint_of,
)
from tidings_redis.connection import connect
from tidings_redis.failures import failures_of
from tidings_redis.settings import RedisSettings

OWN_FIELDS = (
    "message_id",
    "type",
    "occurred_on",
    "content_type",
    "store",
    "body",
    "routing_key",
)
"""An entry's fields; the serializer's headers stand beside them under their own names."""

BATCH_BYTES = 4_000_000


class OpenRedisExchange(OpenExchange):
    """A batch of events is one transaction."""

    def __init__(self, context: ExchangeContext, settings: RedisSettings) -> None:
        self._exchange_name = context.exchange_name
        self._position = context.position
        self._settings = settings
        self._stream = settings.stream_of(context.exchange_name)
        self._batch: dict[int, dict[Any, Any]] = {}
        self._size = 0
        self._accepted: int | None = None
        self._client = connect(settings)
        try:
            self._ping()
        except BaseException:
            self.close()
            raise

    def send(self, notifications: Sequence[Notification]) -> None:
        """Put events into the batch; publish the batch when it is full."""
        for notification in notifications:
            self._batch[notification.event_id] = self._fields(notification)
            self._size += len(notification.message.body)
            if len(self._batch) >= self._settings.batch_size or self._size >= BATCH_BYTES:
                self._publish(self._client)

    def flush(self, timeout: float | None = None) -> None:
        """Publish what is in the batch."""
        if timeout is None or timeout >= self._settings.timeout:
            self._publish(self._client)
            return
        with closing(connect(self._settings, timeout)) as client:
            self._publish(client)

    def accepted_id(self) -> int | None:
        """Return the last id of the last batch that Redis has taken."""
        return self._accepted

    def most_recent_accepted(self) -> Accepted | None:
        """Return the stream's newest event; of one that was cut off, Redis keeps the id."""
        with failures_of(self._exchange_name, self._settings):
            if not self._client.exists(self._stream):
                return None
            stream_info: Any = self._client.xinfo_stream(self._stream)
        generation, event_id = map(int, stream_info["last-generated-id"].split(b"-"))
        if not event_id:
            return None
        entry: tuple[bytes, dict[bytes, bytes]] | None = stream_info["last-entry"]
        if entry is None or entry[0] != stream_info["last-generated-id"]:
            return Accepted(event_id, None, generation)
        fields = entry[1]
        occurred_on = datetime.fromisoformat(fields[b"occurred_on"].decode())
        mark = fingerprint_of(fields[b"type"].decode(), occurred_on)
        return Accepted(event_id, mark, generation, fields.get(b"store", b"").decode())

    def wait(self, seconds: float) -> None:
        """Sleep, and see that Redis still answers."""
        time.sleep(seconds)
        self._ping()

    def close(self) -> None:
        """Disconnect; what is in the batch is forgotten."""
        with suppress(Exception):
            self._client.close()

    def _fields(self, notification: Notification) -> dict[Any, Any]:
        message, type_name, event_id, occurred_on = notification
        for header in message.headers:
            if header in OWN_FIELDS:
                raise UndeliverableEventError(
                    f"Event {event_id} on exchange {self._exchange_name!r} has a header "
                    f"{header!r}; that is a field of the stream's entries itself.",
                    exchange_name=self._exchange_name,
                    event_id=event_id,
                )
        return {
            "message_id": event_id,
            "type": type_name,
            "occurred_on": occurred_on.astimezone(UTC).isoformat(timespec="microseconds"),
            "content_type": message.content_type,
            "store": self._position.store,
            "body": message.body,
            **({"routing_key": message.routing_key} if message.routing_key else {}),
            **message.headers,
        }

    def _publish(self, client: redis.Redis) -> None:
        if not self._batch:
            return
        # A transaction: without it, Redis would refuse one command and take the next.
        transaction = client.pipeline(transaction=True)
        for event_id, fields in self._batch.items():
            transaction.xadd(
                self._stream,
                fields,
                id=f"{self._position.generation}-{event_id}",
                maxlen=self._settings.maxlen,
            )
        with failures_of(self._exchange_name, self._settings):
            transaction.execute()
        self._accepted = max(self._batch)
        self._batch, self._size = {}, 0

    def _ping(self) -> None:
        with failures_of(self._exchange_name, self._settings):
            self._client.ping()
