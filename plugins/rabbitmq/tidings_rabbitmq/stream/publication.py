"""One open stream: its publisher, and what the broker says of its messages."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from rstream import schema

from tidings.plugins import (
    BrokerRefusedError,
    DeliveryError,
    NotAcceptedError,
    UndeliverableEventError,
)
from tidings_rabbitmq.pipeline import Pipeline
from tidings_rabbitmq.stream.connection import StreamConnection
from tidings_rabbitmq.stream.explain import diagnose_code
from tidings_rabbitmq.stream.messages import MessageEncoder
from tidings_rabbitmq.stream.topology import SHORT_STRING, create_if_missing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tidings.plugins import NotificationMessage, Position
    from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

PUBLISHER_ID = 1
OVERHEAD = 64
"""Bytes of a frame, at most, around the one message that it holds."""

_PUBLISH = struct.Struct(">LHHBL")
_LENGTH_SIZE = 4


class Publication:
    """Publishes to one stream over a connection of its own, under a name that stays the same."""

    def __init__(
        self, settings: RabbitMQStreamSettings, exchange_name: str, position: Position
    ) -> None:
        self.exchange_name = exchange_name
        self.reference = f"{settings.app_id}.{exchange_name}"
        if position.generation:
            self.reference += f".g{position.generation}"
        if not exchange_name or len(self.reference.encode()) > SHORT_STRING:
            raise BrokerRefusedError(
                f"Exchange {exchange_name!r}: {self.reference!r} must be a name of at most "
                f"{SHORT_STRING} bytes for RabbitMQ, and the exchange's not empty. Use another.",
                exchange_name=exchange_name,
            )
        self._settings = settings
        self._encoder = MessageEncoder(settings.app_id, position.generation)
        self._link = _Link(settings, exchange_name, self._on_frame)
        self._tags: dict[int, int] = {}
        self._next_tag = 1
        self.pipeline = Pipeline(self._link, settings.window, settings.no_progress_timeout)

    def open(self) -> None:
        """Connect, create the stream where it is missing, and declare the publisher."""
        link = self._link
        link.open()
        create_if_missing(link, self._settings.stream_arguments)
        link.request(
            schema.DeclarePublisher(
                link.next_id(), PUBLISHER_ID, self.reference, self.exchange_name
            ),
            schema.DeclarePublisherResponse,
            "declaring the publisher",
        )

    def send(
        self, message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
    ) -> None:
        """Encode one message and hand it to the pipeline."""
        self.pipeline.check()
        try:
            data = self._encoder.encode(message, type_name, event_id, occurred_on)
        except ValueError as error:
            raise self._undeliverable(event_id, f"{error}. Shorten or rename it.") from error
        if len(data) + OVERHEAD > self._link.frame_max:
            raise self._undeliverable(
                event_id,
                f"it has {len(data)} bytes, and the broker takes frames of "
                f"{self._link.frame_max}. Keep large data elsewhere, or raise stream.frame_max in "
                "rabbitmq.conf.",
            )
        encoded = event_id.to_bytes(8) + len(data).to_bytes(4) + data
        # Before it is sent: its confirm may come while send() still runs.
        self._tags[event_id] = self._next_tag
        self._next_tag += 1
        self.pipeline.send(event_id, len(message.body), encoded)

    def most_recent_accepted_id(self) -> int | None:
        """Return the publisher's sequence, as the broker keeps it with the stream."""
        link = self._link
        answer = link.request(
            schema.QueryPublisherSequence(link.next_id(), self.reference, self.exchange_name),
            schema.QueryPublisherSequenceResponse,
            "asking for the publisher's sequence",
        )
        return answer.sequence or None

    def keep_alive(self) -> None:
        """Do what has to be done now and then, without waiting."""
        with suppress(DeliveryError):  # it is kept, and raised by the next call
            self._link.step(0)

    def close(self) -> None:
        """Let go of the connection."""
        self._link.close()

    def _undeliverable(self, event_id: int, why: str) -> UndeliverableEventError:
        return UndeliverableEventError(
            f"Exchange {self.exchange_name!r}: event {event_id} can never be sent to a RabbitMQ "
            f"stream: {why}",
            exchange_name=self.exchange_name,
            event_id=event_id,
        )

    def _on_frame(self, frame: schema.Frame) -> None:
        if isinstance(frame, schema.PublishConfirm):
            self._accept(frame.publishing_ids)
        elif isinstance(frame, schema.PublishError):
            for error in frame.errors:
                self._refuse(error.publishing_id, error.response_code)
        elif isinstance(frame, schema.MetadataUpdate):
            self._link.fail(diagnose_code(frame.metadata_info.code, "publishing"))

    def _accept(self, event_ids: Sequence[int]) -> None:
        for event_id in sorted(event_ids):
            self.pipeline.window.accept(self._tags.pop(event_id), multiple=False)
        self.pipeline.note_progress()

    def _refuse(self, event_id: int, code: int) -> None:
        self.pipeline.window.give_back(event_id)
        why = diagnose_code(code, "publishing")
        self.pipeline.refuse(
            NotAcceptedError(
                f"Exchange {self.exchange_name!r}: RabbitMQ at {self._link.address} did not accept "
                f"event {event_id}: it {why.what}. {why.advice}",
                exchange_name=self.exchange_name,
                event_id=event_id,
            )
        )


class _Link(StreamConnection):
    """The connection, as the pipeline uses it."""

    def write(self, messages: Sequence[bytes]) -> None:
        """Send messages, in as few frames as the broker takes."""
        piece: list[bytes] = []
        size = 0
        for message in messages:
            if piece and size + len(message) + OVERHEAD > self.frame_max:
                self.send_bytes(_publish_frame(piece, size))
                piece, size = [], 0
            piece.append(message)
            size += len(message)
        self.send_bytes(_publish_frame(piece, size))


def _publish_frame(messages: Sequence[bytes], size: int) -> bytes:
    """Build the frame from messages that are encoded already; rstream's own encodes each anew."""
    head = _PUBLISH.pack(
        _PUBLISH.size - _LENGTH_SIZE + size,
        schema.Publish.key.value,
        schema.Publish.version,
        PUBLISHER_ID,
        len(messages),
    )
    return head + b"".join(messages)
