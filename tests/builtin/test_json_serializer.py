"""The event's own JSON is what travels."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidings import StoredEvent
from tidings.builtin.json_serializer import JsonSerializer
from tidings.interfaces import NotificationMessage

WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize("body", ["{}", ' {"a" : 1.00}\n', '"é\\ud83d\\ude00"', "1e400", "null"])
def test_the_body_is_sent_byte_for_byte(body: str) -> None:
    message = JsonSerializer().serialize(StoredEvent(1, "A", body, WHEN))

    assert message == NotificationMessage(body.encode(), "application/json", {})


def test_aggregate_and_metadata_travel_beside_it() -> None:
    message = JsonSerializer().serialize(StoredEvent(1, "A", "{}", WHEN, "order-1", '{"user": 7}'))

    assert message.headers == {"aggregate_id": "order-1", "metadata": '{"user": 7}'}


@pytest.mark.parametrize("body", ["", "{", "NaN", '{"a": Infinity}', "{} {}", "\ufeff{}"])
def test_a_body_that_is_no_json_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        JsonSerializer().serialize(StoredEvent(1, "A", body, WHEN))
