"""Every character that can be recorded, through the broker's store, and not its memory alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.activemq.client import NOW, Client, Frame, ids, queue_of
from tests.activemq.sending import MESSAGE, send
from tidings.plugins import Notification, NotificationMessage, UndeliverableEventError
from tidings_activemq import characters

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.activemq.conftest import MakeConsumer, MakeProducer
    from tests.servers import ActiveMQ
    from tidings_activemq.producer import ActiveMQProducer

EVERYTHING = "a\\b\\ud83d\\n \t\r\n:é☃\uffff\u200d😀\U0010ffff\x01\x1b\x7f\x85"
METADATA = json.dumps({"who": "Zoë 😀", "path": "C:\\u"}, ensure_ascii=False)
HEADERS = {"aggregate_id": EVERYTHING, "metadata": METADATA, "x": "plain\\text", "y": "\\😀"}


def after_a_restart(
    broker: ActiveMQ, make_producer: MakeProducer, exchange: str, headers: dict[str, str]
) -> None:
    """Publish one event, and let the broker forget all that it hasn't in its store."""
    producer = make_producer(url=broker.url)
    producer.open(exchange)
    message = NotificationMessage("😀".encode(), "text/plain; x=😀", headers)
    producer.send(exchange, message, f"Type{EVERYTHING}", 1, NOW)
    producer.flush(exchange)
    producer.close(exchange)
    broker.kill()
    broker.start()


def test_all_that_is_recorded_comes_back_out_of_the_store(
    own_activemq: Callable[..., ActiveMQ],
    make_producer: MakeProducer,
    make_consumer: MakeConsumer,
    exchange: str,
) -> None:
    broker = own_activemq()
    after_a_restart(broker, make_producer, exchange, HEADERS)
    with Client(broker.url) as client:
        (frame,) = client.browse(queue_of(exchange))
    consumer = make_consumer(url=broker.url)
    consumer.open(exchange)
    received = consumer.receive(30)

    assert received
    assert received.type_name == f"Type{EVERYTHING}"
    assert received.content_type == "text/plain; x=😀"
    assert received.body == "😀".encode()
    assert received.occurred_on == NOW
    assert json.loads(received.headers["metadata"]) == json.loads(METADATA)
    assert {**received.headers, "metadata": ""} == {**HEADERS, "metadata": ""}
    assert_as_documented(frame)


def assert_as_documented(frame: Frame) -> None:
    """See what a program in another language makes of the escapes."""
    names = json.loads(frame.headers["tidings-escaped"])
    assert sorted(names) == ["aggregate_id", "content-type", "y"]
    assert frame.headers["type"] == f"Type{EVERYTHING}"
    assert json.loads(frame.headers["metadata"]) == json.loads(METADATA)
    assert json.loads(f'"{frame.headers["y"]}"') == HEADERS["y"]
    assert frame.headers["x"] == HEADERS["x"]


def test_nothing_is_escaped_without_need(
    producer: ActiveMQProducer, client: Client, exchange: str
) -> None:
    headers = {"aggregate_id": "Zoë\\☃", "metadata": '{"a":"\\\\☃"}'}
    producer.open(exchange)
    send(producer, exchange, 1, headers=headers)
    producer.flush(exchange)
    (frame,) = client.read(queue_of(exchange), 1)

    assert headers.items() <= frame.headers.items()
    assert "tidings-escaped" not in frame.headers


@pytest.mark.parametrize(
    ("type_name", "headers"),
    [("Order\0Placed", {}), ("OrderPlaced", {"aggregate_id": "a\0b"}), ("O", {"a\0": "b"})],
)
def test_a_nul_which_ends_a_frame_cannot_be_sent(
    producer: ActiveMQProducer,
    client: Client,
    exchange: str,
    type_name: str,
    headers: dict[str, str],
) -> None:
    good = [Notification(MESSAGE, "OrderPlaced", event_id, NOW) for event_id in (6, 8)]
    poison = Notification(MESSAGE._replace(headers=headers), type_name, 7, NOW)
    opened = producer.open(exchange)
    with pytest.raises(UndeliverableEventError, match="NUL character") as raised:
        opened.send([good[0], poison, good[1]])
    opened.send(good[1:])
    opened.flush()

    assert raised.value.event_id == 7
    assert ids(client.read(queue_of(exchange), 3, 2)) == [6, 8]


@pytest.mark.parametrize("header", ["😀", "tidings-escaped"])
def test_a_header_that_no_escape_helps_is_refused(
    producer: ActiveMQProducer, exchange: str, header: str
) -> None:
    producer.open(exchange)
    with pytest.raises(UndeliverableEventError, match=header):
        send(producer, exchange, 1, headers={header: "x"})


@pytest.mark.parametrize("nonsense", ["", "no JSON", "{}", "[1]", '["y"]', "[" * 100_000])
def test_another_programs_note_of_escapes_harms_nothing(nonsense: str) -> None:
    headers = {"y": "\\x \\ud83d \\ude00 \\", "tidings-escaped": nonsense}

    assert characters.unescaped(headers)["y"] == headers["y"]


@given(st.dictionaries(st.sampled_from(["a", "b", "type"]), st.text(max_size=9)))
def test_what_is_escaped_can_be_kept_and_comes_back(headers: dict[str, str]) -> None:
    kept, names = characters.escaped(headers)
    note = {characters.ESCAPED: names} if names else {}

    assert not any(characters.has_characters_above(text) for text in kept.values())
    assert {**characters.unescaped(kept | note), **note} == headers | note
