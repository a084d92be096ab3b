"""What was handed over and accepted is counted, and observers hear of it once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from tests.relay.parts import Parts, PassingOn, X
from tidings.plugins import ExchangeContext
from tidings.relay.batch import next_batch
from tidings.relay.in_flight import InFlight
from tidings.relay.observers import Observers
from tidings.relay.poison import Poison
from tidings.relay.tally import Tally

if TYPE_CHECKING:
    from tidings.relay.batch import Batch


class Unroutable(PassingOn):
    """Says how many reached nobody."""

    count = 0

    @override
    def unroutable_count(self) -> int:
        return self.count


def opened(parts: Parts, exchange: str) -> Unroutable:
    return Unroutable(parts.producer.open_exchange(ExchangeContext(exchange)))


def three_of_four(parts: Parts) -> Batch:
    """Return a batch of which the second event is passed over."""
    parts.append()
    parts.append(type_name="Other")
    parts.append(2)
    return next_batch(
        parts.route(events=["Order*"]), parts.store.all_stored_events_since(0, 9), Poison()
    )


def test_only_what_is_sent_is_counted_and_told(parts: Parts) -> None:
    tally, batch = Tally(parts.route()), three_of_four(parts)

    tally.hand_over(batch)
    assert tally.sent == 3
    tally.take_back(2)

    assert tally.sent == 1
    assert parts.told.calls == [("sent", X, [1, 3, 4])]


def test_what_is_accepted_counts_when_it_is_tracked(parts: Parts) -> None:
    tally, batch, in_flight = Tally(parts.route()), three_of_four(parts), InFlight()
    in_flight.add(batch.events, 0.0)
    settled = in_flight.settle(3)
    assert settled is not None

    tally.accept(settled, len(in_flight))
    assert tally.accepted == 0
    tally.track(settled.count, settled.newest.event_id)

    assert tally.accepted == 2
    ((_, _, told),) = parts.told.of("accepted")
    assert (told.count, told.last_event_id, told.in_flight) == (2, 3, 1)
    assert parts.told.of("published") == [("published", X, 2, 3)]


def test_of_a_position_that_moved_past_unwanted_events_nobody_is_told(parts: Parts) -> None:
    tally = Tally(parts.route())

    tally.track(0, 7)

    assert (tally.accepted, parts.told.calls) == (0, [])


def test_it_counts_for_nobody_too(parts: Parts) -> None:
    tally = Tally(parts.route(observers=Observers()))

    tally.hand_over(three_of_four(parts))

    assert tally.sent == 3


def test_what_reached_nobody_is_told_once_and_counted_anew_for_an_exchange_opened_anew(
    parts: Parts,
) -> None:
    tally, first, second = Tally(parts.route()), opened(parts, "first"), opened(parts, "second")

    for exchange, count in [(first, 2), (first, 2), (first, 5), (second, 1)]:
        exchange.count = count
        tally.look_for_unroutable(exchange)

    assert [count for _, _, count in parts.told.of("unroutable")] == [2, 3, 1]
