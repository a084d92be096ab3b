"""A database restored from a backup: subscribers that have more than it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import zmq

from tests.zeromq.events import EXCHANGE, Store
from tests.zeromq.readers import Reader
from tidings.plugins import BrokerUnavailableError
from tidings_zeromq.endpoint import Endpoint
from tidings_zeromq.wire import Request, decode_head, encode_request

if TYPE_CHECKING:
    from tests.zeromq.conftest import MakeRelay, Relay


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Give the list of all requests that relays have dealt with."""
    heard: list[Request] = []
    take_in = Endpoint.requests

    def listen(endpoint: Endpoint, exchange_name: str) -> dict[bytes, Request]:
        requests = take_in(endpoint, exchange_name)
        heard.extend(requests.values())
        return requests

    monkeypatch.setattr(Endpoint, "requests", listen)
    monkeypatch.setattr("tidings_zeromq.patience.SILENCE", 0.1)
    return heard


def wait_for_requests(
    relay: Relay, heard: list[Request], name: str, count: int = 1, last_id: int | None = None
) -> None:
    """Serve the subscribers until ``count`` more requests of that name were dealt with.

    With ``last_id``, such as say that the subscriber has that event.
    """
    begun = len(heard)

    def those() -> list[Request]:
        named = [each for each in heard[begun:] if each.name == name]
        return [each for each in named if last_id in {None, each.last_id}]

    relay.wait_until(lambda: len(those()) >= count, f"{name} to ask")


@pytest.fixture
def restored(make_relay: MakeRelay) -> Relay:
    """Give a relay whose store was set back to event 10; all of it is published."""
    relay = make_relay(Store(range(1, 11)), no_progress_timeout=0.6)
    relay.open(position=10)
    return relay


def grow(relay: Relay) -> None:
    """Let the application go on: events 11 to 25, of which 11 to 20 are not what they were."""
    relay.store.ids += range(11, 26)


def test_new_events_with_the_lost_ones_ids_are_not_taken_for_received(
    restored: Relay, heard: list[Request]
) -> None:
    with Reader(restored.address, last_id=20) as app:
        wait_for_requests(restored, heard, "app")
        grow(restored)
        restored.send(*range(11, 26))
        wait_for_requests(restored, heard, "app", 2)

        assert restored.accepted_id is None
        with pytest.raises(BrokerUnavailableError, match=r"has event 20, .* restored"):
            restored.flush()
    assert app.ids == []
    assert restored.accepted_id is None


def test_a_subscriber_ahead_of_the_store_is_still_not_believed_when_the_exchange_is_opened_again(
    restored: Relay, heard: list[Request]
) -> None:
    with Reader(restored.address, last_id=20) as app:
        wait_for_requests(restored, heard, "app")
        restored.close()
        grow(restored)
        restored.open(position=10)
        restored.send(*range(11, 26))
        wait_for_requests(restored, heard, "app", 2)

        assert restored.accepted_id is None
    assert app.ids == []


def test_a_subscriber_started_anew_from_an_id_before_the_restored_ones_is_believed(
    restored: Relay, heard: list[Request]
) -> None:
    with Reader(restored.address, last_id=20):
        wait_for_requests(restored, heard, "app")
    grow(restored)
    restored.send(*range(11, 26))
    with Reader(restored.address, last_id=10) as anew:
        restored.flush()

    assert anew.ids == list(range(11, 26))
    assert restored.accepted_id == 25


def test_a_subscriber_started_anew_after_an_id_that_is_missing_too_is_not_believed(
    restored: Relay, heard: list[Request]
) -> None:
    for last_id in (20, 15):
        with Reader(restored.address, last_id=last_id):
            # The one before may still be heard.
            wait_for_requests(restored, heard, "app", last_id=last_id)
    grow(restored)
    restored.send(*range(11, 26))
    with Reader(restored.address, last_id=15) as app:
        wait_for_requests(restored, heard, "app", 2)

        assert restored.accepted_id is None
    assert app.ids == []


def test_a_reader_that_is_not_required_is_not_believed_either(
    restored: Relay, heard: list[Request]
) -> None:
    with Reader(restored.address, "audit", last_id=20) as audit, Reader(restored.address):
        wait_for_requests(restored, heard, "audit")
        grow(restored)
        restored.send(*range(11, 26))
        restored.flush()
        wait_for_requests(restored, heard, "audit", 2)

    assert audit.ids == []
    assert restored.accepted_id == 25


def test_who_asks_anew_is_sent_nothing_more_of_the_stream_before_even_if_not_answered(
    make_relay: MakeRelay, heard: list[Request]
) -> None:
    relay = make_relay(Store(range(1, 51)))
    relay.open(position=40)
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(relay.address)
        dealer.send(encode_request(Request(1, 45, 45, "app", EXCHANGE)))
        relay.wait_until(lambda: bool(dealer.poll(0)), "the feed to begin")
        assert decode_head(dealer.recv()).nonce == 1
        relay.store.away = True
        dealer.send(encode_request(Request(2, 45, 45, "app", EXCHANGE)))
        wait_for_requests(relay, heard, "app")
        relay.store.away = False
        relay.send(*range(41, 51))
        relay.producer.wait(EXCHANGE, 0)
        dealer.send(encode_request(Request(3, 45, 45, "app", EXCHANGE)))
        relay.wait_until(lambda: bool(dealer.poll(0)), "the feed to begin anew")

        assert decode_head(dealer.recv()).nonce == 3
