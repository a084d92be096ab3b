"""The ``rabbitmq-stream`` consumer."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from rstream import exceptions, schema
from rstream.constants import OffsetType

from tidings.plugins import BrokerRefusedError, DeliveryError, MessageConsumer, ReceivedMessage
from tidings_rabbitmq.stream.connection import OK, StreamConnection
from tidings_rabbitmq.stream.explain import diagnose_code
from tidings_rabbitmq.stream.messages import decode
from tidings_rabbitmq.stream.topology import SHORT_STRING, create_if_missing

if TYPE_CHECKING:
    from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

SUBSCRIPTION_ID = 1
CREDIT = 2
"""Chunks that the broker may send ahead of our reading."""

STORE_EVERY = 100
"""Acknowledgements after which the position is stored, at the latest."""

_NO_OFFSET = frozenset({exceptions.OffsetNotFound.code, exceptions.StreamDoesNotExist.code})


class RabbitMQStreamConsumer(MessageConsumer):
    """Reads a stream from where this subscriber last stopped, the first time from its beginning.

    The broker keeps the subscriber's position, under its name (by default the exchange's). It is
    the place before the first message that was not acknowledged: what was acknowledged behind
    that place comes again after a restart. It is stored when nothing more has come, every 100
    acknowledgements, and at :meth:`close`; a crash brings at most those again.
    """

    def __init__(self, settings: RabbitMQStreamSettings, subscriber: str | None) -> None:
        self._settings = settings
        self._subscriber = subscriber
        self._connection: StreamConnection | None = None
        self._reference = ""
        self._received: deque[tuple[int, bytes]] = deque()
        self._next_offset = 0
        self._outstanding: deque[int] = deque()
        self._acknowledged: set[int] = set()
        self._done: int | None = None
        self._done_since_stored = 0

    def open(self, exchange_name: str) -> None:
        """Connect, create the stream where it is missing, and begin to receive."""
        if self._connection is not None:
            raise RuntimeError("an exchange is open")
        self._reference = self._subscriber or exchange_name
        if not exchange_name or len(self._reference.encode()) > SHORT_STRING:
            raise BrokerRefusedError(
                f"Exchange {exchange_name!r}: it and the subscriber's name must have between 1 "
                f"and {SHORT_STRING} bytes for RabbitMQ. Use other names.",
                exchange_name=exchange_name,
            )
        self._connection = StreamConnection(self._settings, exchange_name, self._on_frame)
        try:
            self._connection.open()
            create_if_missing(self._connection, self._settings.stream_arguments)
            self._subscribe(self._connection)
        except BaseException:
            self.close()
            raise

    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Return the stream's next message."""
        connection = self._open_connection()
        deadline = time.monotonic() + timeout
        if not self._received:
            self._store_position(connection)
        while not self._received:
            connection.step(deadline - time.monotonic())
            if not self._received and time.monotonic() >= deadline:
                return None
        offset, data = self._received.popleft()
        self._outstanding.append(offset)
        if not self._received:
            connection.send(schema.Credit(SUBSCRIPTION_ID, 1))
        return decode(data, offset)

    def acknowledge(self, message: ReceivedMessage) -> None:
        """Acknowledge this one message."""
        connection = self._open_connection()
        connection.check()
        self._acknowledged.add(message.token)
        # Offsets have holes: the broker's own records stand between the messages.
        while self._outstanding and self._outstanding[0] in self._acknowledged:
            self._done = self._outstanding.popleft()
            self._acknowledged.remove(self._done)
            self._done_since_stored += 1
        if self._done_since_stored >= STORE_EVERY or not self._received:
            self._store_position(connection)

    def close(self) -> None:
        """Store the position, and close the connection."""
        if self._connection is not None:
            with suppress(DeliveryError):  # what is not stored comes again
                self._store_position(self._connection)
            self._connection.close()
            self._connection = None
        self._received.clear()
        self._outstanding.clear()
        self._acknowledged.clear()
        self._done_since_stored = 0

    def _subscribe(self, connection: StreamConnection) -> None:
        self._next_offset = self._stored_position(connection)
        connection.request(
            schema.Subscribe(
                connection.next_id(),
                SUBSCRIPTION_ID,
                connection.exchange_name,
                schema.OffsetSpec.from_params(OffsetType.OFFSET, self._next_offset),
                CREDIT,
                [],
            ),
            schema.SubscribeResponse,
            "subscribing",
        )

    def _stored_position(self, connection: StreamConnection) -> int:
        answer = connection.ask(
            schema.QueryOffset(connection.next_id(), self._reference, connection.exchange_name),
            schema.QueryOffsetResponse,
            "asking where to go on",
        )
        if answer.response_code == OK:
            return answer.offset + 1
        if answer.response_code not in _NO_OFFSET:
            connection.fail(diagnose_code(answer.response_code, "asking where to go on"))
            connection.check()
        return 0

    def _store_position(self, connection: StreamConnection) -> None:
        if self._done is not None and self._done_since_stored:
            stream = connection.exchange_name
            connection.send(schema.StoreOffset(self._reference, stream, self._done))
            self._done_since_stored = 0

    def _open_connection(self) -> StreamConnection:
        if self._connection is None:
            raise RuntimeError("no exchange is open")
        return self._connection

    def _on_frame(self, frame: schema.Frame) -> None:
        if isinstance(frame, schema.Deliver):
            self._on_chunk(frame)
        elif isinstance(frame, schema.MetadataUpdate):
            self._open_connection().fail(diagnose_code(frame.metadata_info.code, "receiving"))

    def _on_chunk(self, chunk: schema.Deliver) -> None:
        for offset, data in enumerate(chunk.get_messages(), chunk.chunk_first_offset):
            # The broker sends whole chunks, also those that begin before our place.
            if offset >= self._next_offset:
                self._next_offset = offset + 1
                self._received.append((offset, data))
