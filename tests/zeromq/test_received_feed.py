"""What a subscriber makes of frames, with no relay and no connection."""

from __future__ import annotations

import pytest

from tests.zeromq.events import EXCHANGE, event
from tidings.plugins import BrokerRefusedError
from tidings_zeromq.event_wire import encode_event
from tidings_zeromq.received_feed import Party, ReceivedFeed
from tidings_zeromq.sequence import Verdict
from tidings_zeromq.wire import encode_beginning, encode_events

PARTY = Party("tcp://relay:5556", EXCHANGE, "app", None, None, 1.0)


def events_after(feed: ReceivedFeed, previous_id: int, *ids: int) -> bytes:
    encoded = [encode_event(*event(each)) for each in ids]
    return encode_events(feed.request().nonce, previous_id, encoded)


def handed_out(feed: ReceivedFeed) -> list[str]:
    found = []
    while message := feed.next_event():
        found.append(message.message_id)
    return found


def test_a_frame_gives_its_events_one_by_one_without_those_that_are_here() -> None:
    feed = ReceivedFeed(PARTY, 0, "")

    assert feed.take(events_after(feed, 0, 1, 2)) is Verdict.TAKE
    assert handed_out(feed) == ["1", "2"]
    assert feed.take(events_after(feed, 0, 2, 3)) is Verdict.TAKE
    assert handed_out(feed) == ["3"]
    assert feed.take(events_after(feed, 4, 5)) is Verdict.HOLE
    assert feed.take(b"nonsense") is None
    assert handed_out(feed) == []


def test_a_new_beginning_forgets_the_frame_in_hand_and_what_was_not_acknowledged() -> None:
    feed = ReceivedFeed(PARTY, 0, "")
    feed.take(events_after(feed, 0, 1, 2, 3))
    first = feed.next_event()
    assert first is not None
    feed.acknowledge(int(first.message_id))
    feed.begin()

    assert handed_out(feed) == []
    assert feed.progress == (1, 1)
    feed.take(events_after(feed, 1, 2, 3))
    assert handed_out(feed) == ["2", "3"]


def test_what_was_not_received_cannot_be_acknowledged() -> None:
    feed = ReceivedFeed(PARTY, 4, "")
    with pytest.raises(ValueError, match="Event 5 was not received here"):
        feed.acknowledge(5)

    assert feed.progress == (4, 4)


def test_another_store_is_refused_and_the_one_known_is_kept() -> None:
    feed = ReceivedFeed(PARTY, 4, "")
    for store in ("one", ""):
        feed.take(encode_beginning(feed.request().nonce, 4, store))
    with pytest.raises(BrokerRefusedError, match="tcp://relay:5556 sends the events of another"):
        feed.take(encode_beginning(feed.request().nonce, 4, "two"))

    assert feed.request().store == "one"
