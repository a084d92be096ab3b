"""One open stream: its publisher, and what the broker says of its messages."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from rstream import schema
from rstream.constants import OffsetType
from typing_extensions import override

from tidings.plugins import (
    Accepted,
    DeliveryError,
    NotAcceptedError,
    OpenExchange,
    UndeliverableEventError,
)
from tidings_rabbitmq.pipeline import Pipeline
from tidings_rabbitmq.stream.chunks import entries
from tidings_rabbitmq.stream.failures import diagnose_code
from tidings_rabbitmq.stream.messages import StreamMessageEncoder, accepted_of
from tidings_rabbitmq.stream.publisher_name import publisher_name
from tidings_rabbitmq.stream.publishing import (
    OVERHEAD,
    PUBLISHER_ID,
    PartedConnection,
    PublishingConnection,
)
from tidings_rabbitmq.stream.topology import make_sure_of_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.plugins import ExchangeContext, Notification
    from tidings_rabbitmq.stream.connection import StreamConnection
    from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

LAST = 1
"""The subscription that reads the stream's last message."""

KEEP_ALIVE_SECONDS = 0.5
"""How often the other open exchanges are looked after while one is waited for."""


class OpenRabbitMQStreamExchange(OpenExchange):
    """Publishes to one stream over a connection of its own, under a name that stays the same.

    If the exchange is parted, to a stream for each partition, under that name in each.

    ``links`` are the connections of its producer: while one is waited for, all are kept alive.
    """

    def __init__(
        self,
        settings: RabbitMQStreamSettings,
        context: ExchangeContext,
        links: set[StreamConnection],
    ) -> None:
        self._exchange_name = context.exchange_name
        self._position = context.position
        self._reference = publisher_name(settings.app_id, context)
        self._settings = settings
        self._links = links
        self._chunks: list[schema.Deliver] = []
        self._encoder = StreamMessageEncoder(settings.app_id, self._position)
        self._partitions = context.partitions
        self._streams: list[str] = []
        self._ahead: list[Accepted] = []
        connection = PartedConnection if self._partitions else PublishingConnection
        self._link = connection(settings, self._exchange_name, self._on_frame, self._reference)
        self._tags: dict[int, int] = {}
        self._next_tag = 1
        self._pipeline = Pipeline(self._link, settings.window, settings.no_progress_timeout)
        links.add(self._link)
        try:
            self._open(self._link)
        except BaseException:
            self.close()
            raise

    def _open(self, link: PublishingConnection) -> None:
        """Connect, create what is missing, and declare the publisher, in each partition."""
        link.open()
        arguments = self._settings.stream_arguments
        self._streams = make_sure_of_streams(link, self._partitions, arguments)
        link.declare(self._streams)
        self.longest_silence = link.longest_silence

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        """Hand messages over; many are written to the socket at once."""
        pipeline, encode = self._pipeline, self._encoder.encode
        pipeline.check()
        for message, type_name, event_id, occurred_on in notifications:
            try:
                data = encode(message, type_name, event_id, occurred_on)
            except ValueError as error:
                raise self._undeliverable(event_id, f"{error}. Shorten or rename it.") from error
            if len(data) + OVERHEAD > self._link.frame_max:
                raise self._undeliverable(
                    event_id,
                    f"it has {len(data)} bytes, and the broker takes frames of "
                    f"{self._link.frame_max}. Keep large data elsewhere, or raise "
                    "stream.frame_max in rabbitmq.conf.",
                )
            head = event_id.to_bytes(8) + len(data).to_bytes(4)
            if self._partitions:
                head = bytes((PUBLISHER_ID + (message.partition or 0),)) + head
            # Before it is sent: its confirm may come while send() still runs.
            self._tags[event_id] = self._next_tag
            self._next_tag += 1
            pipeline.send(event_id, len(message.body), (head, data))

    @override
    def flush(self, timeout: float | None = None) -> None:
        """Wait for every confirm."""
        self._keep_others_alive()
        self._pipeline.flush(timeout)

    @override
    def accepted_id(self) -> int | None:
        return self._pipeline.accepted_id()

    @override
    def wait(self, seconds: float) -> None:
        pipeline = self._pipeline
        owed = len(pipeline.unconfirmed)
        end = time.monotonic() + seconds
        while True:
            self._keep_others_alive()
            pipeline.wait(min(max(end - time.monotonic(), 0.0), KEEP_ALIVE_SECONDS))
            if time.monotonic() >= end or (owed and not pipeline.unconfirmed):
                return

    @override
    def most_recent_accepted(self) -> Accepted | None:
        """Return the event of the sequence that the broker keeps for our publisher's name.

        If it keeps none, the last event that another store, or generation, put into the stream.
        """
        found = [self._remembered_in(stream) for stream in self._streams]
        if not self._partitions:
            return found[0][1]
        self._ahead = [each for _, each in found if each is not None]
        # A partition without any event of our publisher's may lack the very first. What another one
        # of ours put there, before keys belonged to other partitions, says nothing of these.
        ours = [each for is_known, each in found if each is not None and is_known]
        return min(ours) if len(ours) == len(found) else None

    @override
    def accepted_ahead(self) -> Sequence[Accepted]:
        return self._ahead

    def _remembered_in(self, stream: str) -> tuple[bool, Accepted | None]:
        """Return whether the broker knows our publisher's name there, and the newest event."""
        link = self._link
        # It tells which event that is. The sequence comes behind that chunk, if there is one.
        self._ask_for_last_chunk(stream)
        sequence = link.sequence(stream)
        link.request(
            schema.Unsubscribe(link.next_id(), LAST), schema.UnsubscribeResponse, "unsubscribing"
        )
        read = [entry.data for chunk in self._chunks for entry in entries(chunk)]
        self._chunks.clear()
        last = accepted_of(read[-1], self._settings.app_id) if read else None
        if not sequence:
            return False, last
        ours = Accepted(sequence, None, self._position.generation, self._position.store)
        return True, last if last and last._replace(fingerprint=None) == ours else ours

    def _ask_for_last_chunk(self, stream: str) -> None:
        link = self._link
        offset = schema.OffsetSpec.from_params(OffsetType.LAST, None)
        link.request(
            schema.Subscribe(link.next_id(), LAST, stream, offset, 1, []),
            schema.SubscribeResponse,
            "reading the stream's last message",
        )

    @override
    def close(self) -> None:
        """Close the connection; takes at most a second, also from a dead broker."""
        self._links.remove(self._link)
        self._link.close()

    def _keep_others_alive(self) -> None:
        for link in self._links - {self._link}:
            with suppress(DeliveryError):  # it is kept, and raised by that exchange's next call
                link.step(0)

    def _undeliverable(self, event_id: int, why: str) -> UndeliverableEventError:
        return UndeliverableEventError(
            f"Exchange {self._exchange_name!r}: event {event_id} can never be sent to a RabbitMQ "
            f"stream: {why}",
            exchange_name=self._exchange_name,
            event_id=event_id,
        )

    def _on_frame(self, frame: schema.Frame) -> None:
        if isinstance(frame, schema.PublishConfirm):
            self._accept(frame.publishing_ids)
        elif isinstance(frame, schema.PublishError):
            for error in frame.errors:
                self._refuse(error.publishing_id, error.response_code)
        elif isinstance(frame, schema.Deliver):
            self._chunks.append(frame)
        elif isinstance(frame, schema.MetadataUpdate):
            self._link.fail(diagnose_code(frame.metadata_info.code, "publishing"))

    def _accept(self, event_ids: Sequence[int]) -> None:
        for event_id in sorted(event_ids):
            self._pipeline.unconfirmed.accept(self._tags.pop(event_id), multiple=False)

    def _refuse(self, event_id: int, code: int) -> None:
        self._pipeline.unconfirmed.give_back(event_id)
        why = diagnose_code(code, "publishing")
        self._pipeline.refuse(
            NotAcceptedError(
                f"Exchange {self._exchange_name!r}: RabbitMQ at {self._link.address} did not "
                f"accept event {event_id}: it {why.what}. {why.advice}",
                exchange_name=self._exchange_name,
                event_id=event_id,
            )
        )
