"""One stream, read from where its subscriber last stopped."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from rstream import exceptions, schema
from rstream.constants import OffsetType

from tidings.plugins import DeliveryError, Opening
from tidings_rabbitmq.stream.chunks import Entry, entries, messages
from tidings_rabbitmq.stream.connection import OK, StreamConnection
from tidings_rabbitmq.stream.failures import diagnose_code
from tidings_rabbitmq.stream.messages import decode
from tidings_rabbitmq.stream.progress import Progress
from tidings_rabbitmq.stream.topology import make_sure_of_streams

if TYPE_CHECKING:
    from tidings.plugins import KeyPatterns, ReceivedMessage
    from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

SUBSCRIPTION_ID = 1
CREDIT = 10
"""Chunks that the broker may send ahead of our reading. Newer ones send nothing more until at
least half of it is given back."""

_NO_OFFSET = frozenset({exceptions.OffsetNotFound.code, exceptions.StreamDoesNotExist.code})


class StreamReader:
    """Reads one stream over a connection of its own, as :class:`RabbitMQStreamConsumer` says.

    With ``selected``, messages with other routing keys are passed.
    """

    def __init__(
        self,
        settings: RabbitMQStreamSettings,
        exchange_name: str,
        reference: str,
        *,
        partition: int | None,
        selected: KeyPatterns | None,
        opening: Opening,
    ) -> None:
        self._settings = settings
        self._reference = reference
        self._partition = partition
        self._selected = selected
        self._stream = ""
        self._connection = StreamConnection(settings, exchange_name, self._on_frame)
        self._opening = opening
        self._received: deque[tuple[Entry, bool]] = deque()
        """What is still to be unpacked, and whether it is the last of its chunk."""
        self._unpacked: deque[tuple[int, bytes]] = deque()
        """Offset and message, of one entry."""
        self._ends_chunk = False
        """Whether that entry is the last of its chunk."""
        self._begins_at = 0
        self._next_offset = 0
        self._progress = Progress()

    def open(self, partitions: int) -> None:
        """Connect, create what is missing, and begin to receive."""
        connection = self._connection
        connection.open()
        streams = make_sure_of_streams(connection, partitions, self._settings.stream_arguments)
        self._stream = streams[self._partition or 0]
        self._subscribe(connection)

    @property
    def descriptor(self) -> int:
        """What can be waited for until there is something to read."""
        return self._connection.descriptor

    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Return the stream's next message, or ``None`` after ``timeout`` seconds."""
        connection = self._connection
        deadline = time.monotonic() + timeout
        message = self._next(connection)
        if message is None:
            self._store_position(connection, now=True)
        while message is None:
            connection.step(deadline - time.monotonic())
            message = self._next(connection)
            if message is None and time.monotonic() >= deadline:
                return None
        return message

    def acknowledge(self, offset: int) -> None:
        """Go on behind this message, once all before it are acknowledged, too."""
        connection = self._connection
        connection.check()
        self._progress.acknowledge(offset)
        nothing_came = not self._unpacked and not self._received
        self._store_position(connection, now=nothing_came)

    def wait(self, seconds: float) -> None:
        """Keep heartbeats going; what comes meanwhile waits for :meth:`receive`."""
        connection = self._connection
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            connection.step(left)

    def close(self) -> None:
        """Store the position, if it is this process's to store, and close the connection."""
        if not self._connection.is_foreign:
            with suppress(DeliveryError):  # what is not stored comes again
                self._store_position(self._connection, now=True)
        self._connection.close()

    def _subscribe(self, connection: StreamConnection) -> None:
        self._begins_at = self._next_offset = self._stored_position(connection)
        connection.request(
            schema.Subscribe(
                connection.next_id(),
                SUBSCRIPTION_ID,
                self._stream,
                schema.OffsetSpec.from_params(OffsetType.OFFSET, self._next_offset),
                CREDIT,
                [],
            ),
            schema.SubscribeResponse,
            "subscribing",
        )

    def _stored_position(self, connection: StreamConnection) -> int:
        answer = connection.ask(
            schema.QueryOffset(connection.next_id(), self._reference, self._stream),
            schema.QueryOffsetResponse,
            "asking where to go on",
        )
        if answer.response_code == OK:
            return answer.offset + 1
        if answer.response_code not in _NO_OFFSET:
            connection.fail(diagnose_code(answer.response_code, "asking where to go on"))
            connection.check()
        return 0

    def _store_position(self, connection: StreamConnection, *, now: bool) -> None:
        offset = self._progress.to_store(now=now)
        if offset is not None:
            connection.send(schema.StoreOffset(self._reference, self._stream, offset))

    def _on_frame(self, frame: schema.Frame) -> None:
        if isinstance(frame, schema.Deliver):
            self._on_chunk(frame)
        elif isinstance(frame, schema.MetadataUpdate):
            self._connection.fail(diagnose_code(frame.metadata_info.code, "receiving"))

    def _on_chunk(self, chunk: schema.Deliver) -> None:
        # The broker sends whole chunks, also those that begin before our place.
        new = [each for each in entries(chunk) if each.offset + each.length > self._next_offset]
        if not new:
            self._connection.send(schema.Credit(SUBSCRIPTION_ID, 1))
            return
        self._next_offset = new[-1].offset + new[-1].length
        self._received += ((entry, False) for entry in new[:-1])
        self._received.append((new[-1], True))

    def _next(self, connection: StreamConnection) -> ReceivedMessage | None:
        """Return the next message that is at hand and wanted; those before it are passed."""
        self._unpack(connection)
        while self._unpacked:
            offset, data = self._unpacked.popleft()
            message = decode(data, self._opening.delivery_tag((self, offset)), self._partition)
            wanted = self._selected is None or self._selected.match(message.routing_key)
            if wanted:
                self._progress.receive(offset)
            else:
                self._progress.pass_by(offset)
            self._give_credit(connection)
            if wanted:
                return message
            self._store_position(connection, now=False)
            self._unpack(connection)
        return None

    def _unpack(self, connection: StreamConnection) -> None:
        """Have the next entry's messages at hand: one entry at a time, for what it may hold."""
        while self._received and not self._unpacked:
            entry, self._ends_chunk = self._received.popleft()
            found = enumerate(messages(entry, connection.exchange_name), entry.offset)
            self._unpacked += (each for each in found if each[0] >= self._begins_at)
            self._give_credit(connection)

    def _give_credit(self, connection: StreamConnection) -> None:
        """Let the broker send one more chunk once one has been read to its end."""
        if self._ends_chunk and not self._unpacked:
            self._ends_chunk = False
            connection.send(schema.Credit(SUBSCRIPTION_ID, 1))
