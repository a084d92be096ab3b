"""A refusal is worth one more try, and not another one."""

from __future__ import annotations

from tidings import UndeliverableEventError
from tidings.relay.poison import Poison


def refusal(event_id: int | None) -> UndeliverableEventError:
    return UndeliverableEventError("too large", exchange_name="x", event_id=event_id)


def test_a_named_event_is_not_sent_again_and_its_second_refusal_is_the_end() -> None:
    poison, first = Poison(), refusal(7)

    assert poison.is_new(first, tracked_id=3)
    assert poison.error_of(7) is first
    assert poison.error_of(8) is None
    assert poison.is_new(refusal(8), tracked_id=3)
    assert not poison.is_new(refusal(7), tracked_id=6)


def test_a_refusal_that_names_no_event_is_tried_once_from_each_position() -> None:
    poison = Poison()

    assert poison.is_new(refusal(None), tracked_id=3)
    assert not poison.is_new(refusal(None), tracked_id=3)
    assert poison.is_new(refusal(None), tracked_id=5)
