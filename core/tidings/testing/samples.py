"""Notifications and events that are hard to carry."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from tidings.event import MAX_EVENT_ID, NewEvent, StoredEvent
from tidings.interfaces import Notification, NotificationMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tidings.interfaces import MessageProducer

START = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)

JSON = "application/json"
CLOUD = "application/cloudevents+json; charset=UTF-8"


def notification(
    event_id: int,
    body: bytes | None = None,
    *,
    type_name: str = "OrderPlaced",
    occurred_on: datetime | None = None,
    content_type: str = JSON,
    headers: Mapping[str, str] | None = None,
) -> Notification:
    """Return a notification whose contents follow from its id."""
    message = NotificationMessage(
        b'{"number":%d}' % event_id if body is None else body, content_type, headers or {}
    )
    when = occurred_on or START + timedelta(microseconds=event_id % 1_000_000_007)
    return Notification(message, type_name, event_id, when)


def notifications(first: int, count: int, step: int = 1) -> list[Notification]:
    """Return ``count`` notifications; with a ``step``, their ids have holes."""
    return [notification(first + place * step) for place in range(count)]


def send_all(producer: MessageProducer, exchange_name: str, event_ids: Iterable[int]) -> None:
    """Send the notifications of these ids, each by a call of its own."""
    for event_id in event_ids:
        producer.send(exchange_name, *notification(event_id))


PARTITIONS = 4
"""Of an exchange that is parted."""


def parted(first: int, count: int) -> list[Notification]:
    """Return notifications of :data:`PARTITIONS` partitions, one after the other in turn."""
    return [
        each._replace(
            message=each.message._replace(
                partition_key=str(each.event_id), partition=each.event_id % PARTITIONS
            )
        )
        for each in notifications(first, count)
    ]


LARGEST_BODY = 1024 * 1024
"""Bytes of the largest body that the suites send, unless a test class says otherwise."""

BODIES = {
    "empty": b"",
    "not ASCII": '{"name":"Jürgen 東京 🎉 \u2028"}'.encode(),
    "with NUL": b'{"a":"\x00"}\x00\x00',
    "lines and colons": b"\n\r\n:\\n\x00\nMESSAGE\n\n",
    "every byte": bytes(range(256)) * 4,
}


def bodies(largest: int) -> dict[str, bytes]:
    """Return bodies that are hard to carry, none of them longer than ``largest`` bytes."""
    whole = b"0123456789abcdef" * (largest // 16 + 1)
    return {name: body[:largest] for name, body in BODIES.items()} | {"largest": whole[:largest]}


def names_like(stem: str) -> list[str]:
    """Return names of exchanges that a careless plugin takes for each other."""
    long = f"{stem}." + "x" * LONGEST_NAME
    return [
        *(f"{stem}.a", f"{stem}-a", f"{stem}_a", f"{stem}.A"),
        *(long[: LONGEST_NAME - 1] + last for last in "yz"),
    ]


LONGEST_NAME = 127
"""Characters of an exchange's name."""


HEADERS = {
    "usual": {"aggregate_id": "order-1", "metadata": '{"user":"u1","trace":null}'},
    "not ASCII": {"aggregate_id": "Bestellung-Ü 東京 🎉", "metadata": '{"ö":"é"}'},
    "escapes": {"aggregate_id": 'a:b\\c "d" = ;', "metadata": '{\n  "a": "b:c\\\\n"\r\n}'},
    "long": {"aggregate_id": "x" * 255, "metadata": '{"a":"' + "y" * 5000 + '"}'},
    "one, and empty": {"aggregate_id": ""},
}

TIMES = {
    "with microseconds": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "last microsecond of a second": datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "whole second": datetime(2026, 7, 1, tzinfo=UTC),
    "before 1970": datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "1815": datetime(1815, 6, 18, 11, 35, tzinfo=UTC),
    "after 2038": datetime(2262, 4, 12, 1, 2, 3, 4, tzinfo=UTC),
    "9999": datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
}

TYPE_NAMES = {
    "dotted": "shop.order.OrderPlaced/v2",
    "not ASCII": "Überweisung ausgeführt 東京",
    "255 bytes": "T" * 255,
    "255 bytes, not ASCII": "é" * 127 + "e",
}

LARGE_IDS: Sequence[int] = (
    2**31 - 1,
    2**31,
    2**32 + 1,
    2**53 + 1,
    MAX_EVENT_ID - 1,
    MAX_EVENT_ID,
)

IDS: Sequence[int] = (1, 2, 3, 1000, *LARGE_IDS)

EVENTS = {
    "least": NewEvent("OrderPlaced", {}),
    "not ASCII": NewEvent(
        "Überwiesen", {"name": "Jürgen 東京 🎉 \u2028"}, aggregate_id="Ü-東京-🎉"
    ),
    "every JSON type": NewEvent(
        "Odd",
        {"n": None, "t": True, "i": -(2**63), "f": 0.1, "s": "\x00\n\\\"'%s:x", "l": [[], {}]},
    ),
    "body is null": NewEvent("Nothing", None),
    "body is a text": NewEvent("Text", "only this"),
    "metadata": NewEvent(
        "OrderPlaced", [1], aggregate_id="order-1", metadata={"user": "ü", "n": None}
    ),
    "empty metadata": NewEvent("OrderPlaced", [1], metadata={}),
    "longest names": NewEvent("T" * 255, 1, aggregate_id="ü" * 255),
    "largest": NewEvent("Big", {"text": ""}),
    "another time zone": NewEvent(
        "OrderPlaced", 1, datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=14)))
    ),
    "before 1970": NewEvent("Born", 1, TIMES["before 1970"]),
    "1815": NewEvent("Battle", 1, TIMES["1815"]),
    "after 2038": NewEvent("Later", 1, TIMES["after 2038"]),
    "last microsecond": NewEvent("OrderPlaced", 1, TIMES["last microsecond of a second"]),
}


def event_of(name: str, largest: int = LARGEST_BODY) -> NewEvent:
    """Return the sample event of that name; the body of ``largest`` has so many bytes."""
    if name != "largest":
        return EVENTS[name]
    around = len(EVENTS[name].body_text())
    return replace(EVENTS[name], body={"text": "\u00e9" * ((largest - around) // 2)})


def stored(name: str) -> StoredEvent:
    """Return the sample event of that name as an event store gives it."""
    event = event_of(name)
    return StoredEvent(
        1 + list(EVENTS).index(name),
        event.type_name,
        event.body_text(),
        event.occurred_on.astimezone(UTC),
        event.aggregate_id,
        event.metadata_text(),
    )
