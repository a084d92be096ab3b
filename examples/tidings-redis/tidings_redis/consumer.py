"""Reads a stream as one subscriber: a consumer group of the subscriber's name."""

import time
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Any

import redis

from tidings.plugins import MessageConsumer, Opening, ReceivedMessage
from tidings_redis.connection import connect
from tidings_redis.failures import failures_of
from tidings_redis.open_exchange import OWN_FIELDS
from tidings_redis.settings import RedisSettings

READ_AHEAD = 100
NEW = ">"
"""Redis' word for the entries that the group has given to nobody yet."""


class RedisConsumer(MessageConsumer):
    """One reader for each subscriber; what it was given and did not acknowledge comes first."""

    def __init__(self, settings: RedisSettings, subscriber: str | None) -> None:
        self._settings = settings
        self._group = subscriber or settings.subscriber
        self._exchange_name = self._stream = ""
        self._opening = Opening[redis.Redis]()

    def open(self, exchange_name: str) -> None:
        """Connect; make the group if it isn't there, from the stream's first entry on."""
        self._opening.begin(exchange_name, self._connect)

    def _connect(self, exchange_name: str) -> redis.Redis:
        self._exchange_name = exchange_name
        self._stream = self._settings.stream_of(exchange_name)
        self._after = "0"
        self._read: deque[ReceivedMessage] = deque()
        client = connect(self._settings)
        with failures_of(exchange_name, self._settings):
            try:
                client.xgroup_create(self._stream, self._group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
        return client

    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Return the next entry."""
        client, deadline = self._opening.connection, time.monotonic() + timeout
        while not self._read:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            with failures_of(self._exchange_name, self._settings):
                self._read_more(client, min(left, self._settings.timeout / 2))
        return self._read.popleft()

    def acknowledge(self, message: ReceivedMessage) -> None:
        """Take the entry off the group's list of those pending."""
        client, entry = self._opening.connection, self._opening.name_of(message)
        with failures_of(self._exchange_name, self._settings):
            client.xack(self._stream, self._group, entry)

    def close(self) -> None:
        """Disconnect."""
        if client := self._opening.end():
            with suppress(Exception):
                client.close()

    def _read_more(self, client: redis.Redis, seconds: float) -> None:
        found: Any = client.xreadgroup(
            self._group,
            self._group,  # always the same reader, so that it finds its own pending entries again
            {self._stream: self._after},
            count=READ_AHEAD,
            block=max(int(seconds * 1000), 1),
        )
        entries = found[0][1] if found else []
        if self._after != NEW:
            self._after = entries[-1][0] if entries else NEW
        # An entry that is pending and was cut off the stream has no fields any more.
        self._read.extend(
            _received(self._opening.delivery_tag(entry), fields)
            for entry, fields in entries
            if fields
        )


def _received(delivery_tag: Any, fields: dict[bytes, bytes]) -> ReceivedMessage:
    texts = {name.decode(): value.decode() for name, value in fields.items() if name != b"body"}
    return ReceivedMessage(
        message_id=texts["message_id"],
        type_name=texts["type"],
        occurred_on=datetime.fromisoformat(texts["occurred_on"]),
        body=fields[b"body"],
        content_type=texts["content_type"],
        headers={name: text for name, text in texts.items() if name not in OWN_FIELDS},
        delivery_tag=delivery_tag,
        routing_key=texts.get("routing_key", ""),
    )
