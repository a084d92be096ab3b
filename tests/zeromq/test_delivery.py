"""What subscribers get while nobody dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.zeromq.events import EXCHANGE, Store, event
from tests.zeromq.readers import Reader
from tidings.plugins import MAX_EVENT_ID, BrokerUnavailableError, ReceivedMessage
from tidings_zeromq import Subscriber

if TYPE_CHECKING:
    from tests.zeromq.conftest import MakeRelay


def test_two_required_subscribers_get_all_of_10000_in_order(make_relay: MakeRelay) -> None:
    relay = make_relay(subscribers=["app", "audit"])
    relay.open()
    sent = range(1, 10_001)
    with Reader(relay.address, "app") as app, Reader(relay.address, "audit") as audit:
        relay.send(*sent)
        relay.flush()

    assert app.ids == list(sent)
    assert audit.ids == list(sent)
    assert relay.accepted_id == 10_000


def test_a_message_arrives_as_it_was_sent(make_relay: MakeRelay) -> None:
    relay = make_relay()
    relay.open()
    sent = [
        event(1, b""),
        event(2, "Jürgen 東京 🎉".encode()),
        event(3, bytes(range(256))),
        event(4, b"x" * 1_000_000),
        event(MAX_EVENT_ID, b"last"),
    ]
    with Reader(relay.address) as app:
        for each in sent:
            relay.producer.send(EXCHANGE, *each)
        relay.flush()

    arrived = app.messages
    assert [message.message_id for message in arrived] == ["1", "2", "3", "4", str(MAX_EVENT_ID)]
    assert [message.body for message in arrived] == [each.message.body for each in sent]
    assert [message.occurred_on for message in arrived] == [each.occurred_on for each in sent]
    assert {message.type_name for message in arrived} == {"OrderPlaced"}
    assert {message.content_type for message in arrived} == {"application/json"}
    assert arrived[1].headers == {"aggregate_id": "order-2"}


def test_nothing_is_accepted_before_every_required_subscriber_has_acknowledged(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay(subscribers=["app", "audit"])
    relay.open()
    relay.send(1, 2, 3)
    with Reader(relay.address, "app"), Reader(relay.address, "audit", acknowledge=False) as audit:
        relay.wait_until(lambda: len(audit.messages) == 3, "audit to have all")
        with pytest.raises(BrokerUnavailableError, match="'audit'"):
            relay.flush(0.3)

        assert relay.accepted_id is None


def test_a_subscriber_that_is_not_required_holds_nothing_up(make_relay: MakeRelay) -> None:
    relay = make_relay(Store(range(1, 501)), window=10)
    relay.open()
    with Reader(relay.address) as app, Reader(relay.address, "slow", acknowledge=False) as slow:
        # Who comes later, and names no id, begins after what was accepted by then.
        relay.wait_until(lambda: len(relay.opened.connected()) == 2, "both to be there")
        relay.send(*range(1, 501))
        relay.flush()
        relay.wait_until(lambda: len(slow.messages) == 500, "the other to have all")

    assert app.ids == slow.ids == list(range(1, 501))


def test_a_late_joiner_reads_everything_out_of_the_event_store(make_relay: MakeRelay) -> None:
    ids = range(3, 9000, 3)
    relay = make_relay(Store(ids), window=50)
    relay.open()
    with Reader(relay.address):
        relay.send(*ids)
        relay.flush()
    with Reader(relay.address, "late", last_id=0) as late:
        relay.wait_until(lambda: len(late.messages) >= len(ids), "the late joiner to have all")

    assert late.ids == list(ids)


def test_a_late_joiner_misses_nothing_while_new_events_are_sent(make_relay: MakeRelay) -> None:
    ids = list(range(1, 6001))
    relay = make_relay(Store(ids), window=20)
    relay.open(position=3000)
    with Reader(relay.address) as app, Reader(relay.address, "late", last_id=0) as late:
        relay.send(*range(3001, 6001))
        relay.flush()
        relay.wait_until(lambda: len(late.messages) >= 6000, "the late joiner to have all")

    assert late.ids == ids
    assert app.ids == ids[3000:]


def test_a_replay_begins_at_any_id(make_relay: MakeRelay) -> None:
    relay = make_relay(Store(range(1, 101)))
    relay.open(position=100)
    with Reader(relay.address, "audit", last_id=41) as audit:
        relay.wait_until(lambda: len(audit.messages) >= 59, "the replay")

    assert audit.ids == list(range(42, 101))


def test_events_that_the_service_has_not_sent_yet_are_not_served(make_relay: MakeRelay) -> None:
    relay = make_relay(Store(range(1, 101)))
    relay.open(position=40)
    with Reader(relay.address, "audit", last_id=0) as audit:
        relay.wait_until(lambda: len(audit.messages) >= 40, "what was sent so far")
        relay.producer.wait(EXCHANGE, 0.3)

        assert audit.ids == list(range(1, 41))


def test_a_store_that_holds_at_a_gap_is_asked_again_and_nothing_is_left_out(
    make_relay: MakeRelay,
) -> None:
    store = Store([1, 2, 3])
    relay = make_relay(store, window=5)
    relay.open()
    with Reader(relay.address):
        relay.send(*range(1, 101))
        relay.flush()
    with Reader(relay.address, "late", last_id=0) as late:
        relay.wait_until(lambda: len(late.messages) == 3, "what lies before the gap")
        relay.producer.wait(EXCHANGE, 0.3)
        assert late.ids == [1, 2, 3]

        store.ids = list(range(1, 101))
        relay.wait_until(lambda: len(late.messages) == 100, "the rest")

    assert late.ids == store.ids


def test_a_subscriber_that_names_no_id_begins_after_the_position(make_relay: MakeRelay) -> None:
    relay = make_relay(Store(range(1, 101)))
    relay.open(position=90)
    relay.send(*range(91, 101))
    with Reader(relay.address) as app:
        relay.flush()

    assert app.ids == list(range(91, 101))


def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay()
    relay.open()
    relay.send(1, 2, 3)
    with Reader(relay.address) as first:
        relay.flush()
    relay.send(4, 5)
    with Reader(relay.address, acknowledge=False) as second:
        relay.wait_until(lambda: len(second.messages) == 2, "two messages")
    with Reader(relay.address) as third:
        relay.flush()

    assert first.ids == [1, 2, 3]
    assert second.ids == [4, 5]
    assert third.ids == [4, 5]


def test_the_window_bounds_what_is_kept_for_a_subscriber_that_is_away(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay(window=10, no_progress_timeout=0.2)
    relay.open()
    relay.send(*range(1, 11))

    with pytest.raises(BrokerUnavailableError):
        relay.send(11)


def test_the_window_bounds_bytes_too(make_relay: MakeRelay) -> None:
    relay = make_relay(window=1000, window_bytes=10_000, no_progress_timeout=0.2)
    relay.open()
    relay.producer.send(EXCHANGE, *event(1, b"x" * 20_000))

    with pytest.raises(BrokerUnavailableError):
        relay.send(2)


def test_large_events_are_read_from_the_store_few_at_a_time(make_relay: MakeRelay) -> None:
    store = Store(range(1, 201))
    relay = make_relay(store, window=5)
    relay.open(position=200)
    body = b"x" * 100_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.zeromq.events.event", lambda event_id: event(event_id, body))
        with Reader(relay.address, "late", last_id=0) as late:
            relay.wait_until(lambda: len(late.messages) == 200, "all")

    assert late.ids == store.ids
    assert store.most_read <= 4


def test_a_slow_subscriber_is_told_of_new_events_at_its_own_pace(make_relay: MakeRelay) -> None:
    relay = make_relay(Store(range(1, 1001)), window=100, subscribers=["app"])
    relay.open()
    slowly = Reader(relay.address, "slow", last_id=0, seconds_each=0.001)
    with Reader(relay.address), slowly as slow:
        relay.send(*range(1, 1001))
        relay.flush()
        relay.wait_until(lambda: len(slow.messages) == 1000, "the slow one to have all")

    assert slow.ids == list(range(1, 1001))


def test_ids_reach_the_largest(make_relay: MakeRelay) -> None:
    ids = [1, 2**31, 2**32 + 1, 2**53 + 1, MAX_EVENT_ID - 1, MAX_EVENT_ID]
    relay = make_relay(Store(ids))
    relay.open(position=MAX_EVENT_ID)
    with Reader(relay.address, "late", last_id=0) as late:
        relay.wait_until(lambda: len(late.messages) == len(ids), "all")

    assert late.ids == ids


def test_the_exchange_works_again_after_close_and_open(make_relay: MakeRelay) -> None:
    relay = make_relay()
    with Reader(relay.address) as app:
        for first in (1, 11, 21):
            relay.open(position=first - 1)
            assert relay.accepted_id is None
            relay.send(*range(first, first + 10))
            relay.flush()
            assert relay.accepted_id == first + 9
            relay.close()

    assert app.ids == list(range(1, 31))


def test_a_subscriber_opened_again_goes_on_behind_what_it_acknowledged(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay()
    relay.open()
    relay.send(*range(1, 6))
    subscriber = Subscriber(connect=relay.address, exchange_name=EXCHANGE, name="app", last_id=0)
    received: list[ReceivedMessage] = []

    def receive(count: int) -> list[int]:
        received.clear()

        def enough() -> bool:
            message = subscriber.receive(0.05)
            received.extend([message] if message else [])
            return len(received) >= count

        relay.wait_until(enough, f"{count} messages")
        return [int(message.message_id) for message in received]

    with subscriber:
        assert receive(3) == [1, 2, 3]
        subscriber.acknowledge(received[0])
    with subscriber:
        assert receive(4) == [2, 3, 4, 5]


def test_an_acknowledgement_of_what_was_not_received_is_refused(address: str) -> None:
    with Subscriber(connect=address, exchange_name=EXCHANGE, name="app", last_id=7) as subscriber:
        other = ReceivedMessage("8", "OrderPlaced", None, b"")
        with pytest.raises(ValueError, match="Event 8 was not received here"):
            subscriber.acknowledge(other)


def test_subscribers_that_are_gone_are_forgotten(make_relay: MakeRelay) -> None:
    relay = make_relay()
    relay.open()
    with Reader(relay.address, "other"):
        relay.wait_until(lambda: relay.opened.connected() == ["other"], "its request")
    relay.send(1)

    relay.wait_until(lambda: relay.opened.connected() == [], "the relay to notice")
