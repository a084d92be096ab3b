"""Publishes to Redis Streams.

The entry of event 11 has the id ``0-11`` (``1-11`` after the first replay, and so on). Redis takes
ids only in ascending order: whatever arrives late or twice, it refuses itself.
"""

import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis

from tidings.plugins import (
    MessageProducer,
    NotificationMessage,
    Position,
    UndeliverableEventError,
)
from tidings_redis.connection import connect, failures_of
from tidings_redis.settings import RedisSettings

OWN_FIELDS = ("message_id", "type", "occurred_on", "content_type", "body")
"""An entry's fields; the serializer's headers stand beside them under their own names."""

BATCH_BYTES = 4_000_000


@dataclass
class _Open:
    """An exchange that is open."""

    client: redis.Redis
    generation: int
    batch: dict[int, dict[Any, Any]] = field(default_factory=dict)
    size: int = 0
    accepted: int | None = None


class RedisProducer(MessageProducer):
    """One stream for each exchange; a batch of events is one transaction."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._exchanges: dict[str, _Open] = {}

    def open(self, exchange_name: str, position: Position = Position()) -> None:  # noqa: B008 - immutable
        """Connect. The stream makes itself with its first entry."""
        if exchange_name in self._exchanges:
            raise RuntimeError(f"Exchange {exchange_name!r} is open already.")
        client = connect(self._settings)
        self._exchanges[exchange_name] = _Open(client, position.generation)
        with failures_of(exchange_name, self._settings):
            client.ping()

    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        """Put the event into the batch; publish the batch when it is full."""
        exchange = self._exchanges[exchange_name]
        for header in notification_message.headers:
            if header in OWN_FIELDS:
                raise UndeliverableEventError(
                    f"Event {notification_id} on exchange {exchange_name!r} has a header "
                    f"{header!r}; that is a field of the stream's entries itself.",
                    exchange_name=exchange_name,
                    event_id=notification_id,
                )
        exchange.batch[notification_id] = {
            "message_id": notification_id,
            "type": notification_type,
            "occurred_on": notification_occurred_on.astimezone(UTC).isoformat(
                timespec="microseconds"
            ),
            "content_type": notification_message.content_type,
            "body": notification_message.body,
            **notification_message.headers,
        }
        exchange.size += len(notification_message.body)
        if len(exchange.batch) >= self._settings.batch_size or exchange.size >= BATCH_BYTES:
            self._publish(exchange_name, exchange, exchange.client)

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        """Publish what is in the batch."""
        exchange = self._exchanges[exchange_name]
        if timeout is None or timeout >= self._settings.timeout:
            self._publish(exchange_name, exchange, exchange.client)
            return
        with closing(connect(self._settings, timeout)) as client:
            self._publish(exchange_name, exchange, client)

    def accepted_id(self, exchange_name: str) -> int | None:
        """Return the last id of the last batch that Redis has taken."""
        exchange = self._exchanges.get(exchange_name)
        return exchange.accepted if exchange else None

    def most_recent_accepted_id(self, exchange_name: str) -> int | None:
        """Return the newest id of the stream, which Redis keeps even where entries were cut off."""
        exchange = self._exchanges[exchange_name]
        stream = self._settings.stream_of(exchange_name)
        with failures_of(exchange_name, self._settings):
            if not exchange.client.exists(stream):
                return None
            newest: bytes = exchange.client.xinfo_stream(stream)["last-generated-id"]
        generation, event_id = map(int, newest.split(b"-"))
        return event_id or None if generation == exchange.generation else None

    def wait(self, exchange_name: str, seconds: float) -> None:
        """Sleep, and see that Redis still answers."""
        time.sleep(seconds)
        with failures_of(exchange_name, self._settings):
            self._exchanges[exchange_name].client.ping()

    def close(self, exchange_name: str) -> None:
        """Disconnect; what is in the batch is forgotten."""
        if exchange := self._exchanges.pop(exchange_name, None):
            with suppress(Exception):
                exchange.client.close()

    def _publish(self, exchange_name: str, exchange: _Open, client: redis.Redis) -> None:
        if not exchange.batch:
            return
        # A transaction: without it, Redis would refuse one command and take the next.
        transaction = client.pipeline(transaction=True)
        for event_id, fields in exchange.batch.items():
            transaction.xadd(
                self._settings.stream_of(exchange_name),
                fields,
                id=f"{exchange.generation}-{event_id}",
                maxlen=self._settings.maxlen,
            )
        with failures_of(exchange_name, self._settings):
            transaction.execute()
        exchange.accepted = max(exchange.batch)
        exchange.batch, exchange.size = {}, 0
