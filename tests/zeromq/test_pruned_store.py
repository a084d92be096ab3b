"""Subscribers older than what is left in the event store are told what is gone, on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.zeromq.events import Store
from tests.zeromq.readers import Reader
from tidings_zeromq import Subscriber

if TYPE_CHECKING:
    from tests.zeromq.conftest import MakeRelay

RELAY_SAYS = (
    "Subscriber 'late' of exchange 'my-bc-app' asks for events from {} on; those before {} are no "
    "longer in the event store, and it does not get them."
)
SUBSCRIBER_SAYS = (
    "Subscriber 'late' of exchange 'my-bc-app' lacks events {} to {}: they are no longer in the "
    "relay's event store. What follows comes."
)


def test_what_was_pruned_is_named_on_both_sides_once(
    make_relay: MakeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    relay = make_relay(Store(range(26, 31)))
    relay.open(position=30)
    with Reader(relay.address, "late", last_id=5) as late:
        relay.wait_until(lambda: len(late.ids) == 5, "what is left")
    with Reader(relay.address, "late", last_id=5) as again:
        relay.wait_until(lambda: len(again.ids) == 5, "what is left, again")

    said = [record.getMessage() for record in caplog.records]
    assert late.ids == again.ids == [26, 27, 28, 29, 30]
    assert late.gone == range(6, 26)
    assert said.count(RELAY_SAYS.format(6, 26)) == 1
    assert said.count(SUBSCRIBER_SAYS.format(6, 25)) == 2


@pytest.mark.parametrize(("left", "last_id"), [([5, 9, 10], 5), ([5, 9, 10], 4), ([1, 2], 0)])
def test_ids_that_no_event_has_had_are_not_taken_for_pruned(
    make_relay: MakeRelay, caplog: pytest.LogCaptureFixture, left: list[int], last_id: int
) -> None:
    relay = make_relay(Store(left))
    relay.open(position=left[-1])
    expected = [each for each in left if each > last_id]
    with Reader(relay.address, "late", last_id=last_id) as late:
        relay.wait_until(lambda: len(late.ids) == len(expected), "what is left")

    assert late.gone is None
    assert not caplog.records


def test_what_is_pruned_while_a_subscriber_is_being_served_is_named(
    make_relay: MakeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    relay = make_relay(Store(range(1, 1001)), window=10)
    relay.open(position=1000)
    with Subscriber(
        connect=relay.address, exchange_name=relay.exchange_name, name="late", last_id=0
    ) as late:

        def next_id() -> int:
            found: list[int] = []

            def came() -> bool:
                message = late.receive(0)
                if message is not None:
                    late.acknowledge(message)
                    found.append(int(message.message_id))
                return bool(found)

            relay.wait_until(came, "the next event")
            return found[0]

        assert next_id() == 1
        relay.store.ids = list(range(901, 1001))
        ids = [next_id()]
        while ids[-1] < 1000:
            ids.append(next_id())

    before = [each for each in ids if each <= 900]
    assert before == list(range(2, 2 + len(before)))
    assert ids[len(before) :] == list(range(901, 1001))
    assert late.gone == range(before[-1] + 1 if before else 2, 901)
    assert [r.getMessage() for r in caplog.records] == [
        RELAY_SAYS.format(late.gone.start, 901),
        SUBSCRIBER_SAYS.format(late.gone.start, 900),
    ]
