"""What is in flight is settled in order, and never before what came before it."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tidings import StoredEvent
from tidings.relay.in_flight import MOST_KEPT, InFlight

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def event(event_id: int, body: str = "{}") -> StoredEvent:
    return StoredEvent(event_id, "OrderPlaced", body, NOON)


@given(sent=st.lists(st.booleans(), max_size=12), accepted=st.lists(st.integers(0, 12), max_size=6))
def test_what_settles_is_everything_up_to_the_first_that_was_not_accepted(
    sent: list[bool], accepted: list[int]
) -> None:
    in_flight, newest, count = InFlight(), 0, 0
    for event_id, each in enumerate(sent, 1):
        in_flight.add([(event(event_id), each)], float(event_id))

    for accepted_id in sorted(accepted):
        settled = in_flight.settle(accepted_id)
        if settled is not None:
            assert settled.newest.event_id > newest
            first = next((n for n, each in enumerate(sent, 1) if each and n > newest), None)
            newest = settled.newest.event_id
            told = None if first is None or first > newest else (event(first), float(first))
            assert settled.first == told
            count += settled.count

    most = max(accepted, default=0)
    waiting = [n for n, each in enumerate(sent, 1) if each and n > most]
    expected = min(waiting, default=len(sent) + 1) - 1 if accepted else 0
    assert newest == expected
    assert count == sum(sent[:newest])
    assert len(in_flight) == sum(sent[newest:])


def test_an_event_that_was_not_taken_after_all_is_forgotten_with_those_behind_it() -> None:
    in_flight = InFlight()
    for event_id, sent in [(1, True), (2, False), (3, True), (4, False), (5, True)]:
        in_flight.add([(event(event_id), sent)], 0.0)

    in_flight.drop_from(3)

    settled = in_flight.settle(5)
    assert settled is not None
    assert (settled.newest.event_id, settled.count, len(in_flight)) == (2, 1, 0)
    assert in_flight.settle(5) is None


def test_a_large_text_is_not_kept_while_its_event_is_in_flight() -> None:
    in_flight = InFlight()
    in_flight.add([(event(1, "x" * (MOST_KEPT + 1)), True)], 0.0)

    settled = in_flight.settle(1)

    assert settled is not None
    assert settled.newest == event(1, "")
