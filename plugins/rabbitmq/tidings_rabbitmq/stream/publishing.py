"""The connection that a stream's publisher writes to, one name in each stream."""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from rstream import schema
from typing_extensions import override

from tidings.plugins import ExchangeLockedError
from tidings_rabbitmq.diagnosis import Diagnosis
from tidings_rabbitmq.stream.connection import StreamConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tidings_rabbitmq.pipeline import Buffers
    from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

PUBLISHER_ID = 1
"""Of the first stream; the others' follow."""

OVERHEAD = 64
"""Bytes of a frame, at most, around the one message that it holds."""

_ASKING = "asking for the publisher's sequence"
_ID_SIZE = 8
_PUBLISH = struct.Struct(">LHHBL")
_LENGTH_SIZE = 4


class PublishingConnection(StreamConnection):
    """A connection that publishes to streams, as the pipeline uses it.

    RabbitMQ drops an id that is not above the newest of the publisher's name, and confirms it as
    any other. So another publisher under our name would have our events dropped: the relay of a
    copy of our database, say. So the broker is asked for the newest id. If it is above what we have
    sent, the connection fails. The first messages after a pause wait for that answer. While others
    are in flight nothing waits: the answer comes before their confirms.
    """

    def __init__(
        self,
        settings: RabbitMQStreamSettings,
        exchange_name: str,
        on_frame: Callable[[schema.Frame], None],
        reference: str,
    ) -> None:
        super().__init__(settings, exchange_name, on_frame)
        self._reference = reference
        self._streams: Sequence[str] = []
        self._newest: dict[str, int] = {}
        self._expected: dict[str, int] = {}
        self._asked: dict[int | None, str] = {}
        self._in_flight = Counter[int]()

    def declare(self, streams: Sequence[str]) -> None:
        """Declare the publisher in each stream."""
        self._streams = streams
        for number, stream in enumerate(streams, PUBLISHER_ID):
            self.request(
                schema.DeclarePublisher(self.next_id(), number, self._reference, stream),
                schema.DeclarePublisherResponse,
                "declaring the publisher",
            )
            self.sequence(stream)

    def sequence(self, stream: str) -> int:
        """Return the newest id of the name in a stream; 0 if there is none.

        It counts as sent by us from now on.
        """
        answer = self.request(
            schema.QueryPublisherSequence(self.next_id(), self._reference, stream),
            schema.QueryPublisherSequenceResponse,
            _ASKING,
        )
        self._newest[stream] = max(self._newest.get(stream, 0), answer.sequence)
        return int(answer.sequence)

    def write(self, messages: Sequence[Buffers]) -> None:
        """Send messages, in as few frames as the broker takes.

        Each is two buffers: its id and length, and what a subscriber gets.
        """
        self._ask([PUBLISHER_ID])
        self._write_as(PUBLISHER_ID, messages)

    def _write_as(self, publisher: int, messages: Sequence[Buffers]) -> None:
        """Send messages of one publisher."""
        piece: list[Buffers] = []
        size = 0
        for message in messages:
            head, data = message
            length = len(head) + len(data)
            if piece and size + length + OVERHEAD > self.frame_max:
                self.send_bytes(_publish_frame(publisher, piece, size))
                piece, size = [], 0
            piece.append(message)
            size += length
        self.send_bytes(_publish_frame(publisher, piece, size))
        self._in_flight[publisher] += len(messages)
        stream, newest = self._stream_of(publisher), int.from_bytes(messages[-1][0][:_ID_SIZE])
        self._newest[stream] = max(self._newest[stream], newest)

    def _ask(self, publishers: Iterable[int]) -> None:
        """See that these may publish; wait for the answer for those that have nothing in flight."""
        waited_for = set()
        for publisher in publishers:
            stream = self._stream_of(publisher)
            if not self._in_flight[publisher]:
                waited_for.add(stream)
            if stream not in self._asked.values():
                question = schema.QueryPublisherSequence(self.next_id(), self._reference, stream)
                self._asked[question.correlation_id] = stream
                self._expected[stream] = self._newest[stream]
                self.send(question)
        if waited_for:
            answered = partial(waited_for.isdisjoint, self._asked.values())
            self._wait(answered, _ASKING, self._settings.no_progress_timeout)

    def _stream_of(self, publisher: int) -> str:
        return self._streams[publisher - PUBLISHER_ID]

    def _compare(self, stream: str, found: int) -> None:
        ours = self._expected[stream]
        if found > ours:
            self.fail(
                Diagnosis(
                    ExchangeLockedError,
                    f"has event {found} from somebody else who publishes to {stream!r} under our "
                    f"name; ours end with {ours}",
                    "Does a relay of a copy of this database run? Stop it. A relay that has just "
                    "died is no harm.",
                )
            )

    @override
    def _dispatch(self, frame: schema.Frame) -> None:
        if isinstance(self.failure, ExchangeLockedError):
            return  # a confirm may be of something that was dropped
        if isinstance(frame, schema.PublishConfirm):
            self._in_flight[frame.publisher_id] -= len(frame.publishing_ids)
        elif isinstance(frame, schema.PublishError):
            self._in_flight[frame.publisher_id] -= len(frame.errors)
        if frame.corr_id in self._asked:
            self._compare(self._asked.pop(frame.corr_id), getattr(frame, "sequence", 0))
        else:
            super()._dispatch(frame)


class PartedConnection(PublishingConnection):
    """One whose messages each begin with the byte of their publisher: a partition's."""

    @override
    def write(self, messages: Sequence[Buffers]) -> None:
        """Send messages, in their order within each partition."""
        parted: defaultdict[int, list[Buffers]] = defaultdict(list)
        for head, data in messages:
            parted[head[0]].append((head[1:], data))
        self._ask(parted)
        for publisher, those in parted.items():
            self._write_as(publisher, those)


def _publish_frame(publisher: int, messages: Sequence[Buffers], size: int) -> bytes:
    """Build the frame from messages that are encoded already; rstream's own encodes each anew."""
    head = _PUBLISH.pack(
        _PUBLISH.size - _LENGTH_SIZE + size,
        schema.Publish.key.value,
        schema.Publish.version,
        publisher,
        len(messages),
    )
    return b"".join((head, *chain.from_iterable(messages)))
