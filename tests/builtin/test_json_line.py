"""A notification as a line of JSON: the body as it was serialized, and never two lines."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builtin.lines import WHEN, ids, message, opened, write
from tidings import UndeliverableEventError
from tidings.builtin import json_line
from tidings.interfaces import Accepted, Notification, NotificationMessage, fingerprint_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_line_holds_everything_known_of_the_event(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "out.jsonl", generation=2)
    headers = {"aggregate_id": "é", "metadata": '{"user": 7}', "trace": "t"}
    producer.send("x", message(b'{"n": 1.00}', headers), "Order Placed", 7, WHEN)
    producer.flush("x")

    assert path.read_text(encoding="utf-8") == (
        '{"exchange":"x","event_id":7,"type_name":"Order Placed",'
        '"occurred_on":"2026-01-02T03:04:05.000006+00:00","generation":2,"aggregate_id":"é",'
        '"metadata":{"user": 7},"headers":{"trace":"t"},"body":{"n": 1.00}}\n'
    )


def test_a_line_holds_the_partition_of_a_message_that_has_one() -> None:
    sent = message()._replace(partition=0)

    assert json_line.line("x", 0, Notification(sent, "A", 1, WHEN)).decode() == (
        '{"exchange":"x","event_id":1,"type_name":"A",'
        '"occurred_on":"2026-01-02T03:04:05.000006+00:00","partition":0,"body":{"n":1}}\n'
    )


def test_a_line_holds_the_routing_key_of_a_message_that_has_one() -> None:
    sent = message()._replace(routing_key="shop.Ä")

    assert json_line.line("x", 0, Notification(sent, "A", 1, WHEN)).decode() == (
        '{"exchange":"x","event_id":1,"type_name":"A",'
        '"occurred_on":"2026-01-02T03:04:05.000006+00:00","routing_key":"shop.Ä","body":{"n":1}}\n'
    )


@pytest.mark.parametrize(
    ("body", "embedded"),
    [
        (b'{\r\n  "a": 1\n}', '{    "a": 1 }'),
        (b"1e400", "1e400"),
        (b'"\\ud800"', '"\\ud800"'),
        (b"12345678901234567890.10", "12345678901234567890.10"),
    ],
)
def test_a_json_body_stays_as_it_is_but_for_line_ends(body: bytes, embedded: str) -> None:
    line = json_line.line("x", 0, Notification(message(body), "A", 1, WHEN))

    assert line.endswith(f'"body":{embedded}}}\n'.encode())
    assert line.count(b"\n") == 1


@pytest.mark.parametrize(
    "sent",
    [
        message(b"\xff\x00", content_type="application/octet-stream"),
        message(b"not json"),
        message(b""),
        message('{"utf": 16}'.encode("utf-16")),
        message(b"[" * 100_000),
    ],
)
def test_any_other_body_stands_in_base64(sent: NotificationMessage) -> None:
    line = json.loads(json_line.line("x", 0, Notification(sent, "A", 1, WHEN)))

    assert "body" not in line
    assert base64.b64decode(line["body_base64"]) == sent.body
    assert line["content_type"] == sent.content_type


@given(st.binary(), st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_whatever_is_sent_is_one_line(body: bytes, type_name: str, text: str) -> None:
    sent = message(body, {"aggregate_id": text, "metadata": text, text: text})
    line = json_line.line("x", 0, Notification(sent, type_name, 9, WHEN))

    assert line.count(b"\n") == 1
    assert json.loads(line)["type_name"] == type_name
    assert json_line.accepted_of(line) == Accepted(9, fingerprint_of(type_name, WHEN))


def test_text_that_no_file_can_hold_is_poison_and_nothing_else(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "out.jsonl")
    producer.send("x", message(), "A", 1, WHEN)

    with pytest.raises(UndeliverableEventError) as caught:
        producer.send("x", message(headers={"aggregate_id": "\ud800"}), "A", 2, WHEN)

    assert caught.value.event_id == 2
    write(producer, 3)
    assert ids(path) == [1, 3]
