"""JSON Lines, written and read back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tidings.builtin.json_lines import JsonLinesProducer, JsonLinesSettings
from tidings.interfaces import NotificationMessage, Position

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def message(
    body: bytes = b'{"n":1}',
    headers: Mapping[str, str] = {},
    content_type: str = "application/json",
) -> NotificationMessage:
    return NotificationMessage(body, content_type, headers)


def opened(path: Path | str | None, exchange: str = "x", generation: int = 0) -> JsonLinesProducer:
    producer = JsonLinesProducer(JsonLinesSettings(path=None if path is None else str(path)))
    producer.open(exchange, Position(0, generation))
    return producer


def write(producer: JsonLinesProducer, *event_ids: int, exchange: str = "x") -> None:
    for event_id in event_ids:
        producer.send(exchange, message(), "A", event_id, WHEN)
    producer.flush(exchange)


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def ids(path: Path) -> list[int]:
    return [line["event_id"] for line in lines(path)]
