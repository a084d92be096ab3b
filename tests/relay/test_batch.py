"""What goes to a producer in one call is bounded, in order, and ends at what cannot be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tidings import NewEvent, StoredEvent, UndeliverableEventError
from tidings.relay.batch import MOST_BYTES, MOST_EVENTS, Batch, next_batch
from tidings.relay.poison import Poison

if TYPE_CHECKING:
    from tests.relay.parts import Parts


def stored(parts: Parts) -> list[StoredEvent]:
    return list(parts.store.all_stored_events_since(0, 10_000))


def sent(batch: Batch) -> list[int]:
    return [notification.event_id for notification in batch.notifications]


def test_a_batch_ends_with_so_many_events_that_are_sent(parts: Parts) -> None:
    parts.append(MOST_EVENTS - 1)
    parts.append(5, type_name="Other")
    parts.append(9)

    batch = next_batch(parts.route(events=["Order*"]), stored(parts), Poison())

    assert sent(batch) == [*range(1, MOST_EVENTS), MOST_EVENTS + 5]
    assert [event.event_id for event, _ in batch.events] == list(range(1, MOST_EVENTS + 6))


@pytest.mark.parametrize("part", ["body", "metadata"])
@pytest.mark.parametrize(("size", "count"), [(MOST_BYTES * 2, 1), (MOST_BYTES // 4, 4)])
def test_a_batch_ends_with_so_many_bytes(parts: Parts, size: int, count: int, part: str) -> None:
    large: dict[str, Any] = {"body": None, part: {"x": "x" * size}}
    with parts.store.transaction() as transaction:
        parts.store.append(transaction, *(NewEvent("A", **large) for _ in range(6)))

    assert sent(next_batch(parts.route(), stored(parts), Poison())) == list(range(1, count + 1))


def test_a_batch_ends_before_an_event_that_was_refused(parts: Parts) -> None:
    parts.append(6)
    poison = Poison()
    refusal = UndeliverableEventError("too large", exchange_name="x", event_id=4)
    poison.is_new(refusal, 0)

    batch = next_batch(parts.route(), stored(parts), poison)

    assert sent(batch) == [1, 2, 3]
    assert batch.error is refusal


def test_a_batch_ends_before_an_event_that_cannot_be_serialized(parts: Parts) -> None:
    parts.append(3)
    broken = [*stored(parts)[:2], stored(parts)[2]._replace(body="{")]

    batch = next_batch(parts.route(), broken, Poison())

    assert sent(batch) == [1, 2]
    assert batch.error is not None
    assert batch.error.event_id == 3


def test_an_event_that_is_passed_over_has_no_place_in_a_refusal(parts: Parts) -> None:
    parts.append(1)
    parts.append(1, type_name="Other")
    parts.append(1)

    batch = next_batch(parts.route(events=["Order*"]), stored(parts), Poison())

    assert [batch.place_of(event_id) for event_id in (1, 2, 3, 4, None)] == [0, None, 2, None, None]
