"""Exchanges that share a serializer share its work, and never each other's messages."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from typing_extensions import override

from tidings import NotificationMessage, Serializer, StoredEvent
from tidings.relay.serialized_once import SerializedOnce

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Counting(Serializer):
    def __init__(self) -> None:
        self.done: list[int] = []

    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        if event.body == "never":
            raise ValueError("it cannot be")
        self.done.append(event.event_id)
        return NotificationMessage(event.body.encode(), "text/plain", {})


def stored(event_id: int, body: str = "{}") -> StoredEvent:
    return StoredEvent(event_id, "OrderPlaced", body, NOW)


def test_an_event_that_several_exchanges_send_is_serialized_once() -> None:
    counting = Counting()
    shared = SerializedOnce(counting)

    first, second = shared.serialize(stored(1)), shared.serialize(stored(1))

    assert first is second
    assert counting.done == [1]


def test_another_sources_event_of_the_same_id_gets_its_own_message() -> None:
    shared = SerializedOnce(Counting())

    assert shared.serialize(stored(1, "ours")).body == b"ours"
    assert shared.serialize(stored(1, "theirs")).body == b"theirs"
    assert shared.serialize(stored(1, "ours")).body == b"ours"


def test_memory_stays_bounded_and_the_oldest_go_first() -> None:
    counting = Counting()
    shared = SerializedOnce(counting, kept_bytes=10_000)
    large = "x" * 1_500

    for event_id in range(1, 101):
        shared.serialize(stored(event_id, large))
    counting.done.clear()
    for event_id in range(100, 0, -1):
        shared.serialize(stored(event_id, large))

    assert counting.done == list(range(98, 0, -1))


def test_a_message_larger_than_everything_kept_is_made_and_not_kept() -> None:
    counting = Counting()
    shared = SerializedOnce(counting, kept_bytes=10)

    assert shared.serialize(stored(1, "large")).body == b"large"
    assert shared.serialize(stored(1, "large")).body == b"large"
    assert counting.done == [1, 1]


def test_what_cannot_be_serialized_is_refused_to_each() -> None:
    shared = SerializedOnce(Counting())

    for _ in range(2):
        with pytest.raises(ValueError, match="it cannot be"):
            shared.serialize(stored(1, "never"))


def test_many_threads_at_different_places_get_their_own_events_messages() -> None:
    shared = SerializedOnce(Counting(), kept_bytes=20_000)
    wrong: list[int] = []

    def serialize_all() -> None:
        events = [stored(event_id, f"body {event_id}") for event_id in range(2_000)]
        wrong.extend(e.event_id for e in events if shared.serialize(e).body != e.body.encode())

    threads = [threading.Thread(target=serialize_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
