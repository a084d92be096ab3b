"""Subscribers that ask for routing keys or a partition: what they get, and what they hold up."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
import zmq
from typing_extensions import override

from tests.servers.process import free_port
from tests.zeromq.events import EXCHANGE, Store, event
from tests.zeromq.readers import Reader
from tidings.plugins import (
    BrokerRefusedError,
    BrokerUnavailableError,
    Notification,
    Position,
    UndeliverableEventError,
)
from tidings.testing import eventually
from tidings_zeromq import Subscriber
from tidings_zeromq.event_wire import decode_event
from tidings_zeromq.selection import Selection
from tidings_zeromq.wire import FIRST_EVENT, Request, decode_head, encode_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.zeromq.conftest import MakeRelay, Relay
    from tidings.plugins import ReceivedMessage

RARE = 100
"""Every so many events there is one with the key ``rare.N``; the others are ``often.N``."""
OF = 4


def keyed(event_id: int) -> Notification:
    whole = event(event_id)
    key = f"{'often' if event_id % RARE else 'rare'}.{event_id % 3}"
    message = whole.message._replace(routing_key=key, partition=event_id % OF)
    return whole._replace(message=message)


class KeyedStore(Store):
    """An event store whose events have routing keys and partitions."""

    @override
    def since(self, exchange_name: str, event_id: int, limit: int) -> Sequence[Notification]:
        found = super().since(exchange_name, event_id, limit)
        return [keyed(each.event_id) for each in found]


def send(relay: Relay, *ids: int) -> None:
    for event_id in ids:
        relay.store.ids.append(event_id)
        relay.producer.send(EXCHANGE, *keyed(event_id))


def open_parted(relay: Relay) -> None:
    relay.opened = relay.producer.open(EXCHANGE, Position(), partitions=OF)


def reader(relay: Relay, name: str = "app", **options: object) -> Reader:
    return Reader(relay.address, name, **options)  # type: ignore[arg-type]


def asked(connection: zmq.Socket[bytes], relay: Relay, selection: Selection) -> list[bytes]:
    """Ask as a program that shares the bytes alone; return what is answered."""
    connection.connect(relay.address)
    connection.send(encode_request(Request(7, 0, 0, "other", EXCHANGE, "", selection.encode())))
    frames: list[bytes] = []

    def all_there() -> bool:
        while connection.poll(0):
            frames.append(connection.recv())
        return any(decode_head(frame).omitted_id == relay.store.ids[-1] for frame in frames)

    relay.wait_until(all_there, "word of all events")
    return frames


def test_nothing_else_is_sent_and_each_frame_begins_where_the_last_one_ended(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay(KeyedStore(range(1, 501)))
    relay.open(500)
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        with reader(relay, last_id=500):
            send(relay, *range(501, 1051))
            frames = asked(dealer, relay, Selection(keys=("rare.*",)))

    newest, ids = 0, []
    for frame in frames[1:]:
        head = decode_head(frame)
        assert head.previous_id == newest
        newest = head.omitted_id or newest
        place = FIRST_EVENT
        while head.has_events and place < len(frame):
            message, place = decode_event(frame, place)
            newest = message.delivery_tag
            ids.append(newest)
    assert ids == list(range(RARE, 1051, RARE))
    assert newest == 1050


@pytest.mark.parametrize("keys", [["rare.#"], ["nothing"], ["often.1", "rare.*"]])
def test_a_required_subscriber_of_rare_events_holds_nothing_up(
    make_relay: MakeRelay, keys: list[str]
) -> None:
    relay = make_relay(window=10)
    relay.open()
    with reader(relay, routing_keys=keys, last_id=0) as app:
        send(relay, *range(1, 1001))
        relay.flush()

    wanted = {"rare.#": "rare", "nothing": "nothing", "often.1": "often.1 rare"}[keys[0]].split()
    expected = [
        each
        for each in range(1, 1001)
        if any(keyed(each).message.routing_key.startswith(key) for key in wanted)
    ]
    assert app.ids == expected
    assert relay.accepted_id == 1000
    assert [each.routing_key for each in app.messages] == [
        keyed(each).message.routing_key for each in expected
    ]


def test_what_is_left_out_behind_an_event_is_acknowledged_with_it_and_not_before(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay()
    relay.open()
    subscriber = Subscriber(
        connect=relay.address,
        exchange_name=EXCHANGE,
        name="app",
        last_id=0,
        routing_keys=["rare.*"],
    )
    with subscriber:
        send(relay, *range(1, 151))

        def received() -> bool:
            message = subscriber.receive(0.01)
            messages.extend([message] if message else [])
            return subscriber.last_id == 150

        messages: list[ReceivedMessage] = []
        relay.wait_until(received, "all that is asked for")
        assert [each.message_id for each in messages] == ["100"]

        def reported() -> bool:
            return subscriber.receive(0.01) is None and relay.accepted_id == 99

        relay.wait_until(reported, "the acknowledgement of what was left out before it")
        subscriber.acknowledge(messages[0])
        relay.wait_until(lambda: relay.accepted_id == 150, "the acknowledgement of all")


def test_it_is_served_out_of_the_event_store_and_its_ids_move_on(make_relay: MakeRelay) -> None:
    relay = make_relay(KeyedStore(range(1, 2001)), window=5)
    relay.open(2000)
    with reader(relay, "other", routing_keys=["rare.1"], last_id=0) as other:
        relay.wait_until(lambda: other.last_id == 2000, "its last id")

    assert other.ids == [each for each in range(RARE, 2001, RARE) if each % 3 == 1]
    assert relay.store.reads < 100, "a read for each 128 events"


def test_a_relay_that_is_killed_in_between_costs_it_nothing(make_relay: MakeRelay) -> None:
    store = KeyedStore()
    relay = make_relay(store)
    relay.open()
    with reader(relay, routing_keys=["rare.*"], last_id=0) as app:
        send(relay, *range(1, 251))
        relay.flush()
        relay.close()
        again = make_relay(store)
        again.open(200)
        send(again, *range(251, 451))
        again.flush()

    assert app.ids == [100, 200, 300, 400]
    assert again.accepted_id == 450


def test_who_asks_for_other_keys_goes_on_from_its_last_id_or_back(make_relay: MakeRelay) -> None:
    relay = make_relay(KeyedStore(range(1, 301)))
    relay.open(300)
    found = {}
    for keys, last_id in ((["rare.*"], 0), (["often.0"], 290), (["often.0"], 0)):
        with reader(relay, "other", routing_keys=keys, last_id=last_id) as other:
            relay.wait_until(lambda: other.last_id == 300, "its last id")
        found[keys[0], last_id] = other.ids

    assert found["rare.*", 0] == [100, 200, 300]
    assert found["often.0", 290] == [291, 294, 297]
    assert len(found["often.0", 0]) == 99


def test_where_the_relay_remembers_that_it_stands_is_behind_what_was_left_out(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay(KeyedStore(), subscribers=["app"])
    relay.open()
    with reader(relay, routing_keys=["rare.*"]) as app:
        send(relay, *range(1, 151))
        relay.flush()
    with reader(relay, routing_keys=["#"]) as again:
        send(relay, *range(151, 161))
        relay.flush()

    assert app.ids == [100]
    assert again.ids == list(range(151, 161))


def test_a_subscriber_that_asks_for_nothing_gets_all_with_their_keys(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay()
    relay.open()
    with reader(relay) as app:
        send(relay, *range(1, 101))
        relay.flush()

    assert app.ids == list(range(1, 101))
    assert [each.routing_key for each in app.messages[98:]] == ["often.0", "rare.1"]
    assert app.messages[0].headers == event(1).message.headers


def test_what_is_deleted_is_told_of_behind_what_was_left_out(make_relay: MakeRelay) -> None:
    relay = make_relay(KeyedStore(range(1, 21)), window=1)
    relay.open(20)
    with reader(relay, "other", routing_keys=["rare.*"], last_id=0) as other:
        relay.wait_until(lambda: other.last_id == 20, "its last id")
        relay.close()
        relay.store.ids = list(range(1001, 1101))
        relay.open(1100)
        relay.wait_until(lambda: other.last_id == 1100, "its last id")

    assert other.gone == range(21, 1001)
    assert other.ids == [1100]


def test_more_keys_than_travel_are_refused_at_once() -> None:
    keys = [f"shop.order.{number}" for number in range(100)]
    with pytest.raises(ValueError, match="512 travel: ask for fewer"):
        Subscriber(connect="tcp://relay:1", exchange_name="x", name="app", routing_keys=keys)
    with pytest.raises(ValueError, match="from 0 to partitions - 1"):
        Subscriber(connect="tcp://relay:1", exchange_name="x", name="app", partition=1)


def test_a_header_with_our_own_name_is_poison(make_relay: MakeRelay) -> None:
    relay = make_relay()
    relay.open()
    whole = keyed(1)
    for name in ("tidings.routing_key", "tidings.partition"):
        message = whole.message._replace(headers={name: "mine"})
        with pytest.raises(UndeliverableEventError, match=f"header '{name}'"):
            relay.producer.send(EXCHANGE, *whole._replace(message=message))


def test_a_relay_of_before_leaves_word_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings_zeromq.patience.SILENCE", 0.05)
    address = f"tcp://127.0.0.1:{free_port()}"
    with zmq.Context() as context, context.socket(zmq.ROUTER) as relay:
        relay.linger = 0
        relay.bind(address)
        with Reader(address, routing_keys=["a"]), caplog.at_level(logging.WARNING):
            eventually(lambda: "new enough for routing keys" in caplog.text, "the warning")


# Partitions.


def test_each_process_gets_its_partition_and_all_of_them_make_an_event_accepted(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay(window=20)
    open_parted(relay)
    readers = [reader(relay, partition=each, partitions=OF, last_id=0) for each in range(OF)]
    with ExitStack() as running:
        for each in readers[1:]:
            running.enter_context(each)
        send(relay, *range(1, 21))
        relay.wait_until(lambda: all(each.last_id == 20 for each in readers[1:]), "three of them")
        assert relay.accepted_id is None, "nobody has said a word for partition 0"
        running.enter_context(readers[0])
        relay.flush()

    assert [each.ids for each in readers] == [
        [each for each in range(1, 21) if each % OF == partition] for partition in range(OF)
    ]
    assert relay.accepted_id == 20
    assert {message.partition for message in readers[3].messages} == {3}


def test_a_partition_that_nobody_reads_is_named(make_relay: MakeRelay) -> None:
    relay = make_relay(no_progress_timeout=1.0)
    open_parted(relay)
    with (
        reader(relay, partition=0, partitions=OF),
        reader(relay, partition=2, partitions=OF),
    ):
        send(relay, 1, 2, 3)
        with pytest.raises(BrokerUnavailableError, match=r"reads partition\(s\) 1, 3 at"):
            relay.flush()


def test_a_second_process_waits_for_a_partition_and_goes_on_behind_the_first(
    make_relay: MakeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    relay = make_relay(subscribers=["other"])
    open_parted(relay)
    first = reader(relay, "other", partition=1, partitions=OF)
    running = ExitStack()
    running.enter_context(first)
    send(relay, *range(1, 11))
    relay.wait_until(lambda: len(first.ids) == 3, "what is of the partition")
    with running, reader(relay, "other", partition=1, partitions=OF) as second:
        waits = "another process of it reads partition 1"
        relay.wait_until(lambda: waits in caplog.text, "the second one's word")
        send(relay, *range(11, 21))
        relay.wait_until(lambda: len(first.ids) == 5, "what is of the partition")
        running.close()
        send(relay, *range(21, 31))
        relay.wait_until(lambda: len(second.ids) == 3, "what is of the partition")

    assert first.ids == [1, 5, 9, 13, 17]
    assert second.ids == [21, 25, 29]


def test_who_comes_back_over_another_connection_has_its_partition_at_once(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay()
    open_parted(relay)
    selection = Selection(None, 1, OF, "the same").encode()
    with zmq.Context() as context, context.socket(zmq.DEALER) as a, context.socket(zmq.DEALER) as b:
        for nonce, dealer in enumerate((a, b)):
            dealer.linger = 0
            dealer.connect(relay.address)
            request = Request(nonce, 0, 0, "other", EXCHANGE, "", selection)
            dealer.send(encode_request(request))
            relay.wait_until(lambda: bool(dealer.poll(0)), "an answer")  # noqa: B023 - at once
        answers = []
        while b.poll(0):
            answers.append(decode_head(b.recv()))

    assert not answers[0].refusal


@pytest.mark.parametrize("of", [0, 8])
def test_another_number_of_partitions_is_refused_with_a_sentence(
    make_relay: MakeRelay, of: int
) -> None:
    relay = make_relay()
    relay.opened = relay.producer.open(EXCHANGE, Position(), partitions=of)
    with reader(relay, partition=1, partitions=OF) as app:
        relay.wait_until(lambda: app.error is not None, "its error")

    assert isinstance(app.error, BrokerRefusedError)
    says = "has 8" if of else "has no partitions"
    assert f"it asks for partition 1 of 4, and the relay's exchange {says}" in str(app.error)


def test_a_peer_that_says_another_partition_in_the_same_feed_does_no_harm(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay()
    open_parted(relay)
    wishes: list[object] = [{"partition": 9, "of": 99, "by": ""}, [], {"keys": [1]}]
    odd = [json.dumps(each) for each in [*wishes, {"partition": "1"}]]
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(relay.address)
        for selection in [Selection(None, 1, OF, "x").encode(), *odd, "rubbish", "[" * 400]:
            dealer.send(encode_request(Request(7, 0, 0, "app", EXCHANGE, "", selection)))
        with reader(relay) as app:
            send(relay, *range(1, 11))
            relay.flush()

    assert app.ids == list(range(1, 11))
