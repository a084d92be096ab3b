"""The position moves under the lease, past events that are still the ones that were sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.relay.parts import Parts, X
from tidings import (
    InMemoryEventStore,
    LeaseHeldError,
    LeaseLostError,
    PositionMismatchError,
    UndeliverableEventError,
)
from tidings.relay.kept_connection import KeptConnection
from tidings.relay.kept_lease import KeptLease, now
from tidings.relay.tracked_position import TrackedPosition

if TYPE_CHECKING:
    from tidings import TrackedExchange
    from tidings.event import StoredEvent


class Mendable(InMemoryEventStore):
    """Lets the first event have another type than when it was stored."""

    first_type: str | None = None

    @override
    def stored_event(self, event_id: int) -> StoredEvent | None:
        event = super().stored_event(event_id)
        if event is None or event_id != 1 or self.first_type is None:
            return event
        return event._replace(type_name=self.first_type)


@pytest.fixture
def store(parts: Parts) -> Mendable:
    parts.store = store = Mendable()
    return store


def tracked(parts: Parts, reached: dict[str, TrackedExchange] | None = None) -> TrackedPosition:
    """Return the position of a relay that has just taken the lease, from whoever has it."""
    try:
        lease = parts.tracker.acquire_lease(X, "a relay", 60)
    except LeaseHeldError as held:
        lease = parts.tracker.acquire_lease(X, "a relay", 60, in_place_of=held.epoch)
    connection = KeptConnection(lambda _seconds: None, X)
    kept = KeptLease(parts.tracker, lease, now())
    return TrackedPosition(parts.route(), kept, connection, {} if reached is None else reached)


def events(parts: Parts, count: int) -> list[StoredEvent]:
    parts.append(count)
    return list(parts.store.all_stored_events_since(0, count))


def test_a_move_is_in_the_tracker_and_in_the_position(parts: Parts) -> None:
    first, second = events(parts, 2)
    position = tracked(parts)

    position.move(first)
    position.move(second)

    assert parts.position() == position.position.event_id == 2
    assert position.position.store == parts.store.identity()


def test_a_move_without_the_lease_moves_nothing(parts: Parts) -> None:
    first, second = events(parts, 2)
    position = tracked(parts)
    position.move(first)
    tracked(parts)

    with pytest.raises(LeaseLostError):
        position.move(second)

    assert parts.position() == position.position.event_id == 1


def test_no_move_goes_on_from_an_event_that_is_another_one_now(
    parts: Parts, store: Mendable
) -> None:
    first, second = events(parts, 2)
    position = tracked(parts)
    position.move(first)
    store.first_type = "Other"

    with pytest.raises(PositionMismatchError, match="now has 'Other"):
        position.move(second)

    assert parts.position() == 1


def test_what_is_passed_by_is_in_quarantine_and_may_have_another_type_afterwards(
    parts: Parts, store: Mendable
) -> None:
    first, second = events(parts, 2)
    position = tracked(parts)

    position.pass_by(first, "too large")
    store.first_type = "Mended"
    position.move(second)

    (kept,) = parts.tracker.quarantined_events(X)
    assert (kept.event_id, kept.reason) == (1, "too large")
    assert parts.position() == 2


def test_a_stop_is_noted_beside_the_position_which_stays(parts: Parts) -> None:
    first, _ = events(parts, 2)
    position = tracked(parts)
    position.move(first)

    with pytest.raises(UndeliverableEventError):
        position.stop_for(UndeliverableEventError("too large", exchange_name=X, event_id=2))

    (row,) = parts.tracker.tracked_exchanges()
    assert row.stop is not None
    assert (row.stop.event_id, row.stop.reason, row.position.event_id) == (2, "too large", 1)


def test_a_store_that_went_back_with_its_tracker_is_noticed_by_who_knew_how_far_it_was(
    parts: Parts,
) -> None:
    *_, last = events(parts, 3)
    reached: dict[str, TrackedExchange] = {}
    tracked(parts, reached).move(last)
    parts.store, parts.tracker = InMemoryEventStore(), type(parts.tracker)()
    parts.append(2)

    tracked(parts).check()  # another relay has nothing to compare with
    with pytest.raises(PositionMismatchError, match="has had event 3"):
        tracked(parts, reached).check()


def test_a_replay_may_go_back_before_what_was_reached(parts: Parts) -> None:
    *_, last = events(parts, 3)
    reached: dict[str, TrackedExchange] = {}
    tracked(parts, reached).move(last)
    parts.tracker.replay(X, 1)

    position = tracked(parts, reached)
    position.check()

    assert position.position.event_id == 1
