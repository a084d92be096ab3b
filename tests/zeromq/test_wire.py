"""The bytes: what goes in comes out, and rubbish is refused, whatever it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.plugins import MAX_EVENT_ID, NotificationMessage
from tidings_zeromq.wire import (
    FIRST_EVENT,
    NO_ID,
    Request,
    WireError,
    decode_event,
    decode_head,
    decode_request,
    encode_beginning,
    encode_event,
    encode_events,
    encode_request,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=60)
ids = st.integers(1, MAX_EVENT_ID)
nonces = st.integers(0, 2**64 - 1)
times = st.datetimes(timezones=st.just(UTC))
messages = st.builds(
    NotificationMessage,
    body=st.binary(max_size=200),
    content_type=texts,
    headers=st.dictionaries(texts, texts, max_size=3),
)


@given(st.lists(st.tuples(messages, texts, ids, times), min_size=1, max_size=4), nonces)
def test_events_come_out_as_they_went_in(
    events: list[tuple[NotificationMessage, str, int, datetime]], nonce: int
) -> None:
    frame = encode_events(nonce, 5, [encode_event(*event) for event in events])

    assert decode_head(frame) == (nonce, 5, True)
    place = FIRST_EVENT
    for message, type_name, event_id, occurred_on in events:
        received, place = decode_event(frame, place)
        assert received.message_id == str(event_id)
        assert received.type_name == type_name
        assert received.occurred_on == occurred_on
        assert received.body == message.body
        assert received.content_type == message.content_type
        assert received.headers == message.headers
    assert place == len(frame)


@given(nonces, st.integers(NO_ID, MAX_EVENT_ID), names, names, st.data())
def test_a_request_comes_out_as_it_went_in(
    nonce: int, last_id: int, name: str, exchange_name: str, data: st.DataObject
) -> None:
    acknowledged = data.draw(st.integers(NO_ID, last_id))
    request = Request(nonce, last_id, acknowledged, name, exchange_name)

    assert decode_request(encode_request(request)) == request


@given(nonces, st.integers(0, MAX_EVENT_ID))
def test_a_beginning_comes_out_as_it_went_in(nonce: int, start_id: int) -> None:
    assert decode_head(encode_beginning(nonce, start_id)) == (nonce, start_id, False)


@given(st.binary(max_size=100))
def test_rubbish_is_refused_as_a_request(rubbish: bytes) -> None:
    with pytest.raises(WireError):
        decode_request(rubbish)


@given(st.binary(max_size=100))
def test_rubbish_raises_nothing_but_wire_errors(rubbish: bytes) -> None:
    for frame in (rubbish, b"E" + rubbish, b"B" + rubbish):
        try:
            decode_head(frame)
            decode_event(frame, FIRST_EVENT)
        except WireError:
            pass


@given(st.tuples(messages, texts, ids, times), st.data())
def test_a_damaged_event_raises_nothing_but_wire_errors(
    event: tuple[NotificationMessage, str, int, datetime], data: st.DataObject
) -> None:
    frame = bytearray(encode_events(1, 0, [encode_event(*event)]))
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_head(bytes(frame))
        decode_event(bytes(frame), FIRST_EVENT)
    except WireError:
        pass


@given(st.tuples(messages, texts, ids, times), st.data())
def test_an_event_cut_short_is_refused(
    event: tuple[NotificationMessage, str, int, datetime], data: st.DataObject
) -> None:
    frame = encode_events(1, 0, [encode_event(*event)])
    cut = data.draw(st.integers(FIRST_EVENT, len(frame) - 1))

    with pytest.raises(WireError):
        decode_event(frame[:cut], FIRST_EVENT)


@pytest.mark.parametrize("event_id", [0, -1, MAX_EVENT_ID + 1])
def test_an_id_out_of_range_is_refused(event_id: int) -> None:
    message = NotificationMessage(b"", "", {})
    with pytest.raises(ValueError, match="its id"):
        encode_event(message, "OrderPlaced", event_id, datetime(2026, 1, 1, tzinfo=UTC))


def test_a_type_name_that_does_not_fit_is_refused() -> None:
    message = NotificationMessage(b"", "", {})
    with pytest.raises(ValueError, match="too long"):
        encode_event(message, "x" * 70_000, 1, datetime(2026, 1, 1, tzinfo=UTC))
