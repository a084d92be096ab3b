"""Which id counts as accepted, whatever order the confirms come in."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from tidings_rabbitmq.unconfirmed import Unconfirmed


def unconfirmed_of(*ids: int) -> Unconfirmed:
    unconfirmed = Unconfirmed()
    for event_id in ids:
        unconfirmed.add(event_id, body_size=event_id * 100, size=event_id * 100 + 7)
    return unconfirmed


def test_a_single_confirm_accepts_its_own_message_only() -> None:
    sent = unconfirmed_of(10, 20, 30)
    sent.accept(1, multiple=False)

    assert (sent.accepted_id, len(sent), sent.oldest_id) == (10, 2, 20)


def test_a_multiple_confirm_accepts_everything_up_to_it() -> None:
    sent = unconfirmed_of(10, 20, 30)
    sent.accept(2, multiple=True)

    assert (sent.accepted_id, len(sent)) == (20, 1)


def test_a_confirm_out_of_order_waits_for_those_before_it() -> None:
    sent = unconfirmed_of(10, 20, 30)
    sent.accept(3, multiple=False)
    sent.accept(2, multiple=False)
    before = sent.accepted_id
    sent.accept(1, multiple=False)

    assert before is None
    assert (sent.accepted_id, len(sent), sent.oldest_id) == (30, 0, None)


def test_a_confirm_that_a_later_one_covers_is_not_kept() -> None:
    let_go: list[int] = []

    class Tag(int):
        def __del__(self) -> None:
            let_go.append(int(self))

    sent = unconfirmed_of(10, 20, 30)
    sent.accept(Tag(2), multiple=False)
    gc.collect()
    assert let_go == [], "it waits for the one before it"
    sent.accept(3, multiple=True)
    gc.collect()

    assert (sent.accepted_id, len(sent)) == (30, 0)
    assert let_go == [2]


def test_nothing_from_a_refused_message_on_is_accepted() -> None:
    sent = unconfirmed_of(10, 20, 30)
    refused = sent.refuse(2, multiple=False)
    sent.accept(3, multiple=True)

    assert (refused, sent.accepted_id) == (20, 10)


def test_a_multiple_refusal_names_the_first_of_them() -> None:
    sent = unconfirmed_of(10, 20, 30)
    sent.accept(1, multiple=False)
    refused = sent.refuse(3, multiple=True)
    sent.accept(3, multiple=True)

    assert (refused, sent.accepted_id) == (20, 10)


def test_what_went_before_a_refused_message_is_still_awaited() -> None:
    sent = unconfirmed_of(10, 20, 30)
    sent.refuse(2, multiple=False)
    before = sent.is_settled
    sent.accept(1, multiple=False)

    assert (before, sent.is_settled, sent.accepted_id) == (False, True, 10)


def test_a_returned_message_is_not_accepted_by_the_confirm_that_follows() -> None:
    sent = unconfirmed_of(10, 20, 30)
    sent.give_back(20)
    sent.accept(2, multiple=True)
    sent.accept(3, multiple=False)

    assert sent.accepted_id == 10


def test_the_message_of_a_size_is_the_first_unconfirmed_one() -> None:
    sent = unconfirmed_of(10, 20, 30)
    sent.accept(1, multiple=False)

    assert (sent.id_of_size(2000), sent.id_of_size(1000)) == (20, None)


def test_its_headers_count_as_long_as_a_message_is_unconfirmed() -> None:
    sent = unconfirmed_of(10, 20, 30)
    before = sent.size
    sent.accept(2, multiple=True)

    assert (before, sent.size) == (6021, 3007)


@given(st.data(), st.integers(1, 30))
def test_accepted_is_the_greatest_id_without_a_hole_before_it(data: st.DataObject, n: int) -> None:
    sent = unconfirmed_of(*range(1, n + 1))
    confirmed: set[int] = set()
    for tag in data.draw(st.permutations(range(1, n + 1))):
        if tag in confirmed:
            continue
        multiple = data.draw(st.booleans())
        confirmed |= set(range(1, tag + 1)) if multiple else {tag}
        sent.accept(tag, multiple=multiple)
        whole = next(i for i in range(n + 1) if i + 1 not in confirmed)

        assert sent.accepted_id == (whole or None)
        assert len(sent) == n - whole
