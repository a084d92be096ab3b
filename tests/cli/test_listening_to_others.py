"""What other programs send, and rows that they wrote, stop neither `listen` nor `append`."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pika
import pytest

from tests.rabbitmq.client import Client
from tidings.event import from_json

if TYPE_CHECKING:
    from tests.command import Project
    from tests.servers.given import Broker

DEEP = "[" * 50_000 + "]" * 50_000
"""What a Python before 3.14 does not read, and later ones do if their stack is large enough."""
DEEPER = "[" * 10_000_000 + "]" * 10_000_000
"""What none reads."""


def is_read(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return False
    return True


def shown_body(line: dict[str, Any]) -> str:
    if "body" in line:
        return json.dumps(line["body"])
    return base64.b64decode(line["body_base64"]).decode()


def test_json_that_is_nested_too_deeply_is_refused_as_any_other_text() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        from_json(DEEPER)


def test_append_names_the_line_that_is_nested_too_deeply(project: Project) -> None:
    refused = project.run("append", stdin=f'{{"type_name": "A", "body": {DEEPER}}}')
    assert refused.code == 1
    assert refused.err.startswith("Error: standard input, line 1: not JSON: it is nested too deep")


def test_listen_prints_whatever_another_program_has_sent(
    project: Project, rabbitmq: Broker
) -> None:
    exchange = f"others-{uuid4().hex[:8]}"
    project.configure(
        '[event_store]\nurl = "sqlite:///events.db"\n'
        f'[exchanges.{exchange}]\nproducer = "rabbitmq"\n'
        f'[producers.rabbitmq]\nurl = "{rabbitmq.url}"\n'
    )
    project.succeed("init", "--tables")
    project.succeed("check")  # makes the queue
    # The deepest that can be read is one that cannot be written within a line.
    bodies = ["{}", DEEP, "1e999", *("[" * depth + "]" * depth for depth in range(900, 1001))]
    with Client(rabbitmq.url) as other:
        for message_id in ("\N{SUPERSCRIPT TWO}", "9" * 200, "7"):
            properties = pika.BasicProperties(message_id=message_id, headers={"metadata": DEEP})
            other.channel.basic_publish("", exchange, b"1", properties)
        for body in bodies:
            other.channel.basic_publish("", exchange, body.encode())
    count = 3 + len(bodies)
    said = project.succeed("listen", exchange, "--count", str(count), "--timeout", "20").out
    written = said.splitlines()
    assert len(written) == count
    lines = [json.loads(line) for line in (*written[:6], written[-1])]
    assert [line["event_id"] for line in lines[:3]] == ["\N{SUPERSCRIPT TWO}", "9" * 200, 7]
    metadata = [line["metadata"] for line in lines[:3]]
    assert [is_read(DEEP) == isinstance(each, list) for each in metadata] == [True] * 3
    assert [each if isinstance(each, str) else json.dumps(each) for each in metadata] == [DEEP] * 3
    assert lines[3]["body"] == {}
    for line, body in zip(lines[4:], (DEEP, "1e999", bodies[-1]), strict=True):
        assert shown_body(line) == body
