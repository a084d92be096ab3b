"""Messages of other programs: nothing that a broker carries stops a consumer."""

from __future__ import annotations

import gzip
import struct
import sys
import tracemalloc
import uuid
import zlib
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pika
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pika import frame, spec
from pydantic import SecretStr
from rstream import schema

from tests.rabbitmq.client import Client, send
from tests.remembered import newest_id
from tidings.testing import eventually
from tidings_rabbitmq.consumer import RabbitMQConsumer
from tidings_rabbitmq.readable import ReadableProtocol
from tidings_rabbitmq.settings import RabbitMQSettings
from tidings_rabbitmq.stream.chunks import MOST_UNPACKED
from tidings_rabbitmq.stream.consumer import RabbitMQStreamConsumer
from tidings_rabbitmq.stream.messages import decode
from tidings_rabbitmq.stream.publishing import PublishingConnection
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings
from tidings_rabbitmq.stream.topology import make_sure_of_streams

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rabbitmq.conftest import MakeProducer
    from tests.servers.given import StreamBroker
    from tidings.plugins import MessageConsumer, ReceivedMessage

MILLISECONDS = 1767323045006
LAST = b"the last one"


class Raw(pika.BasicProperties):  # type: ignore[misc] # pika ships no types
    """Properties as another program's library would write them."""

    def __init__(self, flags: int, encoded: bytes) -> None:
        super().__init__()
        self.encoded = struct.pack(">H", flags) + encoded

    def encode(self) -> list[bytes]:
        return [self.encoded]


def short(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def long(value: bytes) -> bytes:
    return struct.pack(">L", len(value)) + value


def table(*entries: tuple[bytes, bytes]) -> bytes:
    """Return a table of names and values, each value with its kind before it."""
    return long(b"".join(short(name) + value for name, value in entries))


def with_headers(encoded: bytes) -> Raw:
    return Raw(spec.BasicProperties.FLAG_HEADERS, encoded)


def nested(depth: int) -> bytes:
    value = b"V"
    for _ in range(depth):
        value = b"F" + table((b"", value))
    return value


WIDTHS = {"t": 1, "b": 1, "B": 1, "s": 2, "u": 2, "I": 4, "i": 4, "D": 5, "l": 8, "T": 8, "V": 0}
"""What RabbitMQ takes in a table, and how many bytes it has."""


def of_width(kind: str) -> st.SearchStrategy[bytes]:
    width = WIDTHS[kind]
    return st.binary(min_size=width, max_size=width).map(lambda value: kind.encode() + value)


SCALARS = st.one_of(
    *map(of_width, WIDTHS),
    # RabbitMQ ends the connection of who sends NaN, or infinity.
    st.floats(allow_nan=False, allow_infinity=False).map(lambda n: b"d" + struct.pack(">d", n)),
    st.binary(max_size=20).map(lambda value: b"S" + long(value)),
    st.binary(max_size=20).map(lambda value: b"x" + long(value)),
)
NAMES = st.binary(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: b"A" + long(b"".join(values))),
        st.lists(st.tuples(NAMES, inner), max_size=3).map(lambda each: b"F" + table(*each)),
    ),
    max_leaves=5,
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=4).map(lambda each: table(*each))


@st.composite
def properties(draw: st.DrawFn) -> Raw:
    text = st.binary(max_size=30).map(short)
    parts = {
        spec.BasicProperties.FLAG_CONTENT_TYPE: text,
        spec.BasicProperties.FLAG_HEADERS: HEADERS,
        spec.BasicProperties.FLAG_MESSAGE_ID: text,
        spec.BasicProperties.FLAG_TIMESTAMP: st.binary(min_size=8, max_size=8),
        spec.BasicProperties.FLAG_TYPE: text,
    }
    chosen = [flag for flag in parts if draw(st.booleans())]
    return Raw(sum(chosen), b"".join(draw(parts[flag]) for flag in chosen))


def received(consumer: MessageConsumer) -> list[ReceivedMessage]:
    """Receive to the last, which is there to show that nothing stands in the way."""
    found = []
    while (message := consumer.receive(30)) and message.body != LAST:
        found.append(message)
        consumer.acknowledge(message)
    assert message is not None, f"after {len(found)} nothing more came"
    consumer.acknowledge(message)
    return found


@pytest.fixture
def consumer(rabbitmq: StreamBroker, exchange: str) -> Iterator[RabbitMQConsumer]:
    consumer = RabbitMQConsumer(RabbitMQSettings(url=SecretStr(rabbitmq.url)), None)
    consumer.open(exchange)
    yield consumer
    consumer.close()


def test_a_time_in_milliseconds_is_no_time_and_stops_nothing(
    consumer: RabbitMQConsumer, client: Client, exchange: str
) -> None:
    property_ = pika.BasicProperties(timestamp=MILLISECONDS, type="Paid")
    header = with_headers(table((b"at", b"T" + struct.pack(">Q", MILLISECONDS)), (b"n", b"b\7")))
    client.channel.basic_publish(exchange, "", b"1", property_)
    client.channel.basic_publish(exchange, "", b"2", header)
    client.channel.basic_publish(exchange, "", LAST)

    first, second = received(consumer)

    assert (first.body, first.type_name, first.occurred_on) == (b"1", "Paid", None)
    assert (second.body, second.headers) == (b"2", {"n": "7"})


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"T" + b"\xff" * 8, {}),
        (nested(2000), {}),
        (b"A" + long(b"T" + b"\xff" * 8), {}),
        (b"S" + long(b"\xff"), {"odd": "\N{REPLACEMENT CHARACTER}"}),
    ],
    ids=["far future", "deep", "in a list", "no UTF-8"],
)
def test_a_header_that_cannot_be_read_leaves_the_others(
    consumer: RabbitMQConsumer, client: Client, exchange: str, value: bytes, left: dict[str, str]
) -> None:
    headers = table((b"first", b"S" + long(b"1")), (b"odd", value), (b"last", b"I\0\0\0\2"))
    client.channel.basic_publish(exchange, "", b"1", with_headers(headers))
    client.channel.basic_publish(exchange, "", LAST)

    (message,) = received(consumer)

    assert message.headers == {"first": "1", "last": "2"} | left


@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(properties(), min_size=1, max_size=30))
def test_whatever_properties_rabbitmq_carries_every_message_is_received(
    consumer: RabbitMQConsumer, client: Client, exchange: str, sent: list[Raw]
) -> None:
    for number, each in enumerate(sent):
        client.channel.basic_publish(exchange, "", str(number).encode(), each)
    client.channel.basic_publish(exchange, "", LAST)

    assert [int(message.body) for message in received(consumer)] == list(range(len(sent)))


def test_a_strangers_message_in_the_tail_stops_no_relay(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    producer = make_producer(resume="tail")
    producer.open(exchange)
    header = with_headers(table((b"at", b"T" + struct.pack(">Q", MILLISECONDS))))
    client.channel.confirm_delivery()
    client.channel.basic_publish(exchange, "", b"", header)

    assert newest_id(producer, exchange) is None
    send(producer, exchange, 1)
    producer.flush(exchange)
    assert newest_id(producer, exchange) == 1


class Taken:
    """pika's side: keeps the frames that it was given, decoded by pika."""

    def __init__(self) -> None:
        self.frames: list[Any] = []

    def data_received(self, received: bytes) -> None:
        while received:
            size, decoded = frame.decode_frame(received)
            assert decoded is not None
            self.frames.append(decoded)
            received = received[size:]


@given(st.binary(max_size=60), st.integers(1, 20))
@example(b"\x20\x00\x00\x00\x00\x09\x00T" + b"\xff" * 8, 20)
def test_pika_reads_whatever_stands_in_a_content_header(encoded: bytes, step: int) -> None:
    content = struct.pack(">HHQ", spec.Basic.INDEX, 0, 3) + (encoded + b"\0\0")
    header = struct.pack(">BHL", spec.FRAME_HEADER, 1, len(content)) + content + b"\xce"
    sent = header + frame.Body(1, b"abc").marshal()
    taken = Taken()
    protocol = ReadableProtocol(taken)
    for start in range(0, len(sent), step):
        protocol.data_received(sent[start : start + step])

    head, body = taken.frames
    assert isinstance(head, frame.Header)
    assert (head.body_size, body.fragment) == (3, b"abc")


def test_what_pika_can_read_is_handed_on_byte_by_byte_as_it_came() -> None:
    headers = {"n": 1, "t": {"u": "x"}, "when": datetime(2026, 1, 2, tzinfo=UTC)}
    properties = pika.BasicProperties(headers=headers, type="Paid", timestamp=7)
    sent = frame.Header(1, 3, properties).marshal() + frame.Heartbeat().marshal()
    got: list[bytes] = []

    class Kept:
        data_received = staticmethod(got.append)

    ReadableProtocol(Kept()).data_received(sent)

    assert b"".join(got) == sent


@given(st.binary(max_size=80))
@example(b"\0\x53\x73\xd0\0\0\0\x08\xff\xff\xff\xff")  # a list of four thousand million
@example(b"\0\x53\x75\xf0\0\0\0\x05\xff\xff\xff\xff\x40")  # as many nothings
@example(b"\0" * 80)
@example(b"\0\x53\x77" + b"\xc0\x50\x01" * 25)
@example(b"\0\x53\x73\xc0\x0b\x01\x83\x7f" + b"\xff" * 7)
def test_whatever_bytes_a_stream_holds_are_a_message(stored: bytes) -> None:
    message = decode(stored, 7)

    assert message.delivery_tag == 7
    assert all(isinstance(part, str) for part in (message.message_id, message.type_name))


AMQP_1 = {
    "text": (b"\0\x53\x77\xa1\x02hi", b"hi"),
    "number": (b"\0\x53\x77\x54\x07", b"\x54\x07"),
    "two parts": (b"\0\x53\x75\xa0\x01a\0\x53\x75\xa0\x01b", b"ab"),
    "no AMQP": (b"{}", b"{}"),
    "empty": (b"", b""),
}


@pytest.mark.parametrize(("stored", "body"), AMQP_1.values(), ids=AMQP_1)
def test_bodies_of_other_kinds_are_given_as_bytes(stored: bytes, body: bytes) -> None:
    assert decode(stored, 0).body == body


def test_ids_of_other_kinds_are_given_as_text() -> None:
    identity = uuid.uuid4()
    stored = b"\0\x53\x73\xc0\x12\x01\x98" + identity.bytes

    assert decode(stored, 0).message_id == str(identity)


def test_a_deep_message_does_not_depend_on_the_stack() -> None:
    stored = b"\0\x53\x77"
    for _ in range(sys.getrecursionlimit()):
        stored += b"\xd0\0\xff\xff\xff\0\0\0\1"

    assert decode(stored, 0).body == stored


def batch(messages: list[bytes], compression: int, packed: bytes | None = None) -> bytes:
    """Return a sub-entry of several messages, as other clients publish them."""
    plain = b"".join(map(long, messages))
    packed = plain if packed is None else packed
    kind = 0x80 | compression << 4
    return struct.pack(">BHLL", kind, len(messages), len(plain), len(packed)) + packed


def publish(rabbitmq: StreamBroker, exchange: str, *entries: bytes) -> None:
    """Publish entries as they are, and behind them the last message."""
    settings = RabbitMQStreamSettings(url=SecretStr(rabbitmq.stream_url))
    all_of_them = [*entries, long(LAST)]
    confirmed: list[int] = []

    def note(frame: schema.Frame) -> None:
        if isinstance(frame, schema.PublishConfirm):
            confirmed.extend(frame.publishing_ids)

    def is_confirmed() -> bool:
        link.step(0.1)
        return len(confirmed) == len(all_of_them)

    link = PublishingConnection(settings, exchange, note, "another program")
    with closing(link):
        link.open()
        link.declare(make_sure_of_streams(link, 0, settings.stream_arguments))
        link.write([(number.to_bytes(8), entry) for number, entry in enumerate(all_of_them, 1)])
        eventually(is_confirmed, "confirms", 60)


def read_stream(rabbitmq: StreamBroker, exchange: str) -> list[bytes]:
    """Return the bodies that a subscriber gets up to the last message."""
    consumer = RabbitMQStreamConsumer(
        RabbitMQStreamSettings(url=SecretStr(rabbitmq.stream_url)), "billing"
    )
    consumer.open(exchange)
    bodies = [message.body for message in received(consumer)]
    consumer.close()
    return bodies


def gzipped(messages: list[bytes]) -> bytes:
    return batch(messages, 1, gzip.compress(b"".join(map(long, messages))))


def test_batches_of_other_programs_are_unpacked_or_given_whole(
    rabbitmq: StreamBroker, exchange: str
) -> None:
    two = [b"one", b"two"]
    publish(
        rabbitmq,
        exchange,
        long(b"plain"),
        batch(two, 0),
        gzipped(two),
        batch(two, 1, b"not gzip"),
        batch(two, 4, b"zstd?"),
    )
    bodies = read_stream(rabbitmq, exchange)

    assert bodies == [b"plain", b"one", b"two", b"one", b"two", b"not gzip", b"zstd?"]


def test_a_batch_that_would_be_huge_is_given_whole_with_a_warning(
    rabbitmq: StreamBroker, exchange: str, caplog: pytest.LogCaptureFixture
) -> None:
    compress = zlib.compressobj(wbits=31)
    zeros = bytes(MOST_UNPACKED)
    bomb = b"".join([*(compress.compress(zeros) for _ in range(8)), compress.flush()])
    publish(rabbitmq, exchange, *[batch([b""] * 3, 1, bomb)] * 3)
    tracemalloc.start()
    try:
        bodies = read_stream(rabbitmq, exchange)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert bodies == [bomb] * 3
    assert most < 4 * MOST_UNPACKED
    assert "3 messages of another program, from offset 6 on, are one batch" in caplog.text


def test_a_batch_that_holds_as_much_as_it_may_is_unpacked(
    rabbitmq: StreamBroker, exchange: str
) -> None:
    publish(rabbitmq, exchange, gzipped([bytes(MOST_UNPACKED - 12), b"more"]))

    assert list(map(len, read_stream(rabbitmq, exchange))) == [MOST_UNPACKED - 12, 4]


def test_within_a_batch_a_subscriber_goes_on_where_it_stopped(
    rabbitmq: StreamBroker, exchange: str
) -> None:
    publish(rabbitmq, exchange, gzipped([b"one", b"two", b"three"]), batch([b"four"] * 2, 4, b"?"))
    consumer = RabbitMQStreamConsumer(
        RabbitMQStreamSettings(url=SecretStr(rabbitmq.stream_url)), "billing"
    )
    for expected in ([b"one", b"two"], [b"three", b"?"]):
        consumer.open(exchange)
        for body in expected:
            message = consumer.receive(30)
            assert message is not None
            assert message.body == body
            consumer.acknowledge(message)
        consumer.close()

    assert read_stream(rabbitmq, exchange) == []
