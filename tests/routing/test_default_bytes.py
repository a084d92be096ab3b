"""An exchange that says nothing of routing and partitions: what is sent is as it was before those.

Taken from the last commit without them. Subscribers have written code for these bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tidings import StoredEvent
from tidings.builtin import json_line
from tidings.builtin.json_serializer import JsonSerializer
from tidings.config import Exchange
from tidings.plugins import Position
from tidings.relay.route import notification
from tidings_activemq.frames import EventFrames
from tidings_rabbitmq.frames import MessageEncoder
from tidings_rabbitmq.stream.messages import StreamMessageEncoder
from tidings_zeromq.event_wire import encode_event
from tidings_zeromq.pub.frames import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidings.plugins import Notification

EVENT = StoredEvent(
    event_id=4711,
    type_name="Überwiesen",
    body='{"total":42}',
    occurred_on=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    aggregate_id="order-Ü",
    metadata='{"tenant":"acme"}',
)

BEFORE = {
    "rabbitmq": (
        b"\x01\x00\x01\x00\x00\x00\r\x00<\x00(\x00\x00\x04shop\x00\x01\xce\x02\x00\x01\x00"
        b"\x00\x00\xaf\x00<\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0c\xb0\xe8\x10application/"
        b"json\x00\x00\x00j\x0boccurred_onS\x00\x00\x00 2026-01-02T03:04:05.000006+00:00"
        b'\x0caggregate_idS\x00\x00\x00\x08order-\xc3\x9c\x08metadataS\x00\x00\x00\x11{"ten'
        b'ant":"acme"}\x02\x044711\x00\x00\x00\x00iW5\xa5\x0b\xc3\x9cberwiesen\x07tidings'
        b'\xce\x03\x00\x01\x00\x00\x00\x0c{"total":42}\xce'
    ),
    "rabbitmq-stream": (
        b"\x00Sr\xd1\x00\x00\x00\x1f\x00\x00\x00\x02\xa3\x0cx-basic-type\xa1\x0b\xc3\x9cber"
        b"wiesen\x00Ss\xd0\x00\x00\x00A\x00\x00\x00\x0b\xa1\x044711@@\xa1\x0b\xc3\x9cberwie"
        b"sen@@\xa3\x10application/json@@\x83\x00\x00\x01\x9b|\xa9\x8c\x88\xa1\x07tidings"
        b"\x00St\xd1\x00\x00\x00\x9c\x00\x00\x00\n\xa1\x0boccurred_on\xa1 2026-01-02T03:04:"
        b"05.000006+00:00\xa1\x0caggregate_id\xa1\x08order-\xc3\x9c\xa1\x08metadata\xa1\x11"
        b'{"tenant":"acme"}\xa1\x0cx-basic-type\xa1\x0b\xc3\x9cberwiesen\xa1\x0ex-basic-app'
        b'-id\xa1\x07tidings\x00Su\xa0\x0c{"total":42}'
    ),
    "activemq": (
        b"SEND\ndestination:/topic/VirtualTopic.shop\npersistent:true\ntransaction:t1\ntype"
        b":\xc3\x9cberwiesen\ncontent-type:application/json\ncontent-length:12\ncorrelation"
        b"-id:4711\nevent-id:4711\ntimestamp:1767323045000\noccurred_on:2026-01-02T03\\c04"
        b'\\c05.000006+00\\c00\naggregate_id:order-\xc3\x9c\nmetadata:{"tenant"\\c"acme"}\n'
        b'\n{"total":42}\x00'
    ),
    "zeromq": (
        b"\x00\x00\x00e\x00\x00\x00\x00\x00\x00\x12g\x00\x06G^\xf6L\xf3F\x00\x0b\x00\x10"
        b'\x00\x00\x00>\xc3\x9cberwiesenapplication/json{"aggregate_id":"order-\xc3\x9c","m'
        b'etadata":"{\\"tenant\\":\\"acme\\"}"}{"total":42}'
    ),
    "zeromq-pub": (
        b'\xc3\x9cberwiesen|4711|2026-01-02T03:04:05.000006+00:00|application/json|{"aggreg'
        b'ate_id": "order-\xc3\x9c", "metadata": "{\\"tenant\\":\\"acme\\"}"}|{"total":42}'
    ),
    "jsonlines": (
        b'{"exchange":"shop","event_id":4711,"type_name":"\xc3\x9cberwiesen","occurred_on":'
        b'"2026-01-02T03:04:05.000006+00:00","aggregate_id":"order-\xc3\x9c","metadata":{"t'
        b'enant":"acme"},"body":{"total":42}}\n'
    ),
}

NOW: Mapping[str, Callable[[Notification], bytes]] = {
    "rabbitmq": lambda each: b"".join(
        MessageEncoder(1, "shop", 131072, "tidings", Position()).encode(*each)
    ),
    "rabbitmq-stream": lambda each: StreamMessageEncoder("tidings", Position()).encode(*each),
    "activemq": lambda each: EventFrames("shop", "/topic/VirtualTopic.shop").encode("t1", *each),
    "zeromq": lambda each: encode_event(*each),
    "zeromq-pub": lambda each: b"|".join(encode(*each)),
    "jsonlines": lambda each: json_line.line("shop", 0, each),
}


@pytest.mark.parametrize("backend", BEFORE)
def test_what_is_sent_by_default_is_as_it_was_byte_for_byte(backend: str) -> None:
    exchange = Exchange(producer=backend)

    sent = notification("shop", JsonSerializer(), EVENT, exchange.addressing)

    assert NOW[backend](sent) == BEFORE[backend]
