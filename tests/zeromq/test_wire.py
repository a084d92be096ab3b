"""The bytes: what goes in comes out, and rubbish is refused, whatever it is."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.plugins import MAX_EVENT_ID, NotificationMessage
from tidings_zeromq.event_wire import decode_event, encode_event
from tidings_zeromq.wire import (
    FIRST_EVENT,
    NO_ID,
    Head,
    Request,
    WireError,
    decode_head,
    decode_request,
    encode_beginning,
    encode_events,
    encode_omission,
    encode_refusal,
    encode_request,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=60)
stores = st.text(st.characters(codec="ascii"), max_size=100)
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

    assert decode_head(frame) == Head(nonce, 5, has_events=True)
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


@given(nonces, st.integers(NO_ID, MAX_EVENT_ID), names, names, stores, st.data())
def test_a_request_comes_out_as_it_went_in(  # noqa: PLR0917 - hypothesis gives them
    nonce: int, last_id: int, name: str, exchange_name: str, store: str, data: st.DataObject
) -> None:
    acknowledged = data.draw(st.integers(NO_ID, last_id))
    request = Request(nonce, last_id, acknowledged, name, exchange_name, store)

    assert decode_request(encode_request(request)) == request


@given(nonces, st.integers(0, MAX_EVENT_ID), stores)
def test_a_beginning_comes_out_as_it_went_in(nonce: int, start_id: int, store: str) -> None:
    head = decode_head(encode_beginning(nonce, start_id, store))

    assert head == Head(nonce, start_id, has_events=False, store=store)


@given(names, names, stores, st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_request_with_a_selection_comes_out_as_it_went_in(
    name: str, exchange_name: str, store: str, selection: str
) -> None:
    request = Request(1, 7, 5, name, exchange_name, store, selection)

    assert decode_request(encode_request(request)) == request


@given(nonces, st.integers(0, MAX_EVENT_ID), ids)
def test_an_omission_comes_out_as_it_went_in(nonce: int, previous: int, omitted: int) -> None:
    head = decode_head(encode_omission(nonce, previous, omitted))

    assert head == Head(nonce, previous, has_events=False, omitted_id=omitted)


@given(nonces, st.booleans(), names)
def test_a_refusal_comes_out_as_it_went_in(nonce: int, for_good: bool, why: str) -> None:
    head = decode_head(encode_refusal(nonce, why, for_good=for_good))

    assert head == Head(nonce, int(for_good), has_events=False, refusal=why)


@given(st.binary(max_size=100))
def test_rubbish_behind_a_kind_raises_nothing_but_wire_errors(rubbish: bytes) -> None:
    for kind in (b"G", b"O", b"R", b"X"):
        with suppress(WireError):
            decode_head(kind + bytes(16) + rubbish)
    with pytest.raises(WireError):
        decode_request(encode_request(Request(1, 0, 0, "app", "x"))[:30].replace(b"t1", b"t2"))


@given(
    st.text(max_size=60),
    st.integers(0, 99) | st.none(),
    st.dictionaries(st.sampled_from(["a", "aggregate_id"]), texts),
)
def test_an_address_travels_with_the_event(
    key: str, partition: int | None, headers: dict[str, str]
) -> None:
    if any("\ud800" <= each <= "\udfff" for each in key):
        key = ""
    message = NotificationMessage(b"{}", "", headers, key, None, partition)
    when = datetime(2026, 1, 1, tzinfo=UTC)
    received, _ = decode_event(
        encode_events(1, 0, [encode_event(message, "T", 1, when)]), FIRST_EVENT
    )

    assert (received.routing_key, received.partition) == (key, partition)
    assert received.headers == headers


@pytest.mark.parametrize("store", [b"x" * 101, "ü".encode()])
def test_what_is_no_identity_of_a_store_is_refused(store: bytes) -> None:
    with pytest.raises(WireError):
        decode_head(encode_beginning(1, 0) + store)
    with pytest.raises(WireError):
        decode_request(encode_request(Request(1, 0, 0, "app", "x")) + store)


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
