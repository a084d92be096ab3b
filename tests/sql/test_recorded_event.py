"""What becomes of the application's event objects."""

from __future__ import annotations

import enum
import unicodedata
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import ClassVar

import pytest
from pydantic import BaseModel, Field

from tidings.errors import InvalidEventError
from tidings.event import NewEvent
from tidings.sql.recorded_event import as_new_event

ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, timezone(timedelta(hours=2)))


class Currency(enum.Enum):
    EURO = "EUR"


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: Currency


@dataclass(frozen=True)
class OrderPlaced:
    aggregate_id: uuid.UUID
    total: Money
    due: date
    occurred_on: datetime


class OrderShipped(BaseModel):
    type_name: ClassVar[str] = "shop.order-shipped"
    order_id: uuid.UUID = Field(serialization_alias="orderId")
    tags: set[str] = set()


def test_a_dataclass_becomes_json_in_the_documented_way() -> None:
    event = as_new_event(
        OrderPlaced(ID, Money(Decimal("1.10"), Currency.EURO), date(2026, 1, 31), WHEN)
    )
    assert event.type_name == "OrderPlaced"
    assert event.body == {
        "aggregate_id": str(ID),
        "total": {"amount": "1.10", "currency": "EUR"},
        "due": "2026-01-31",
        "occurred_on": "2026-01-02T03:04:05.000006+02:00",
    }
    assert event.occurred_on == WHEN
    assert event.aggregate_id == str(ID)


def test_a_pydantic_model_keeps_its_aliases_and_its_class_says_the_type_name() -> None:
    event = as_new_event(OrderShipped(order_id=ID, tags={"gift"}))
    assert event.type_name == "shop.order-shipped"
    assert event.body == {"orderId": str(ID), "tags": ["gift"]}


def test_a_given_type_name_wins_over_the_class() -> None:
    assert as_new_event(OrderShipped(order_id=ID), "Shipped").type_name == "Shipped"


def test_a_mapping_needs_a_type_name() -> None:
    with pytest.raises(InvalidEventError, match="needs a type_name"):
        as_new_event({"id": ID})
    event = as_new_event({"id": ID, "occurred_on": WHEN}, "Made", aggregate_id=ID)
    assert event.body == {"id": str(ID), "occurred_on": "2026-01-02T03:04:05.000006+02:00"}
    assert (event.occurred_on, event.aggregate_id) == (WHEN, str(ID))


def test_without_a_time_of_its_own_an_event_occurs_now() -> None:
    before = datetime.now(UTC)
    event = as_new_event(OrderShipped(order_id=ID))
    assert before <= event.occurred_on <= datetime.now(UTC)


def test_a_time_without_a_zone_is_refused() -> None:
    event = OrderPlaced(
        ID, Money(Decimal(1), Currency.EURO), date(2026, 1, 31), WHEN.replace(tzinfo=None)
    )
    with pytest.raises(InvalidEventError, match="no time zone"):
        as_new_event(event)


def test_a_new_event_stays_and_is_completed() -> None:
    event = NewEvent("A", {}, aggregate_id="own")
    assert as_new_event(event) is event
    completed = as_new_event(event, aggregate_id="other", metadata={"user": 1})
    assert (completed.aggregate_id, completed.metadata) == ("own", {"user": 1})
    assert completed.occurred_on == event.occurred_on


@pytest.mark.parametrize("value", [object(), lambda: None], ids=["object", "function"])
def test_what_json_cannot_hold_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidEventError, match="JSON cannot hold the body of 'Made'"):
        as_new_event({"value": value}, "Made")


@pytest.mark.parametrize("event", ["text", 5, OrderPlaced], ids=["text", "number", "a class"])
def test_what_is_no_event_is_refused(event: object) -> None:
    with pytest.raises(InvalidEventError, match="An event is a dataclass"):
        as_new_event(event)


@dataclass(frozen=True)
class Named:
    type_name: object = "by.its.class"


class NamedModel(BaseModel):
    type_name: str | None = None


class Kind(enum.Enum):
    PLACED = "order.placed"


@pytest.mark.parametrize(
    ("event", "called"),
    [
        (Named(), "by.its.class"),
        (Named("by itself"), "by itself"),
        (Named(Kind.PLACED), "order.placed"),
        (Named(None), "Named"),
        (NamedModel(type_name="by its field"), "by its field"),
        (NamedModel(), "NamedModel"),
    ],
)
def test_an_event_is_called_what_its_own_field_says(event: object, called: str) -> None:
    recorded = as_new_event(event)
    assert recorded.type_name == called
    assert recorded.body["type_name"] in {called, None}
    assert as_new_event(event, "given").type_name == "given"


def test_a_type_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="Named has an attribute type_name that is no"):
        as_new_event(Named(7))


@pytest.mark.parametrize("joined", ["a\u200db", "a\u00a0b", "a\u3000b", "a\u200bb", "a\u2028b"])
def test_what_joins_or_spaces_letters_is_no_control_character(joined: str) -> None:
    assert NewEvent(joined, {}, aggregate_id=joined).aggregate_id == joined


@pytest.mark.slow
def test_every_control_character_is_refused_and_no_other() -> None:
    texts = map(chr, (*range(0xD800), *range(0xE000, 0x110000)))
    control = [text for text in texts if _is_refused(text)]
    assert control == [c for c in map(chr, range(0x110000)) if unicodedata.category(c) == "Cc"]


def _is_refused(text: str) -> bool:
    try:
        NewEvent(text, {}, occurred_on=WHEN)
    except InvalidEventError:
        return True
    return False


@pytest.mark.parametrize(
    "when",
    [
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_a_time_that_utc_does_not_have_is_refused(when: datetime) -> None:
    with pytest.raises(InvalidEventError, match="occurred_on of 'A' is no time in UTC"):
        NewEvent("A", {}, occurred_on=when)
