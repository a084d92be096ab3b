"""What somebody asked to have sent again leaves the quarantine once it is accepted."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.relay.parts import REMEMBERS, Parts, X
from tidings import InMemoryTracker, UndeliverableEventError
from tidings.plugins import Capability
from tidings.relay.owner import Owner
from tidings.relay.retry import can_retry, retry
from tidings.relay.run import Run, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def refused(parts: Parts) -> set[int]:
    """Let the broker refuse these events; it has refused 2 and 3 of five."""
    refused = {2, 3}

    def before_send(event_id: int) -> None:
        if event_id in refused:
            raise UndeliverableEventError("too large", exchange_name=X, event_id=event_id)

    parts.producer.before_send = before_send
    parts.append(5)
    parts.service(passes_poison=True).publish_notifications(X)
    assert (parts.ids(), parts.position()) == ([1, 4, 5], 5)
    return refused


@contextmanager
def a_run(parts: Parts) -> Iterator[Run]:
    with running(parts.route(passes_poison=True), Owner()) as run:
        yield run


def quarantined(parts: Parts) -> list[tuple[int, str, bool]]:
    rows = parts.tracker.quarantined_events(X)
    return [(each.event_id, each.reason, each.retry_asked) for each in rows]


def test_only_what_was_asked_for_is_sent_again_and_the_position_stays(
    parts: Parts, refused: set[int]
) -> None:
    refused.clear()
    parts.tracker.ask_to_retry(X, 3)

    with a_run(parts) as run:
        retry(run)

    assert (parts.ids(), parts.position()) == ([1, 4, 5, 3], 5)
    assert quarantined(parts) == [(2, "too large", False)]


def test_what_is_not_accepted_stays_with_the_new_reason_and_holds_up_no_other(
    parts: Parts, refused: set[int]
) -> None:
    refused.clear()
    parts.broker.reject(X)
    parts.tracker.ask_to_retry(X)

    with a_run(parts) as run:
        retry(run)

    ((left, reason, asked),) = quarantined(parts)
    assert (left, asked, parts.ids()) == (2, False, [1, 4, 5, 3])
    assert "Event 2 was not accepted" in reason


def test_an_event_that_is_gone_from_the_store_stays_and_says_so(
    parts: Parts, refused: set[int]
) -> None:
    refused.clear()
    parts.store.prune(3)
    parts.tracker.ask_to_retry(X, 2)

    with a_run(parts) as run:
        retry(run)

    assert quarantined(parts)[0] == (2, "It is no longer in the event store.", False)


def test_each_of_them_is_a_step_of_its_own(parts: Parts, refused: set[int]) -> None:
    refused.clear()
    parts.tracker.ask_to_retry(X)
    left: list[int] = []

    with a_run(parts) as run:
        retry(run, lambda: left.append(len(quarantined(parts))))

    assert left == [1, 0]


def test_none_is_sent_while_the_position_rests_on_the_brokers_memory(
    parts: Parts, refused: set[int]
) -> None:
    parts.producer.capabilities = REMEMBERS
    parts.append()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "tracker", InMemoryTracker())
        parts.service().publish_notifications(X)
    refused.clear()

    for _ in range(2):
        parts.tracker.ask_to_retry(X, 3)
        with a_run(parts) as run:
            retry(run)

    assert 3 not in parts.ids()
    assert quarantined(parts)[1][1].count("Not tried again") == 1


@pytest.mark.parametrize(
    ("more", "passes", "can"),
    [
        (frozenset({Capability.OUT_OF_ORDER}), True, True),
        (frozenset({Capability.OUT_OF_ORDER}), False, True),
        (frozenset[Capability](), True, False),
    ],
)
def test_only_a_producer_that_sends_out_of_order_can(
    parts: Parts, more: frozenset[Capability], passes: bool, can: bool
) -> None:
    assert can_retry(parts.route(passes_poison=passes, capabilities=more)) is can
