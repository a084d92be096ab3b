"""The service publishes what an exchange has not had, and remembers only what was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.relay.parts import Parts, PassingOn, Producer, X, at, relay_threads
from tidings import (
    BrokerUnavailableError,
    LeaseHeldError,
    LeaseLostError,
    NotAcceptedError,
    NotificationService,
    StoreUnavailableError,
    UndeliverableEventError,
)
from tidings.builtin.json_serializer import JsonSerializer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings import NotificationMessage, OpenExchange, StoredEvent


def test_every_event_is_published_once_in_order(parts: Parts) -> None:
    parts.append(25)
    service = parts.service(batch_size=10)

    assert service.publish_notifications(X) == 25
    assert service.publish_notifications(X) == 0
    assert parts.ids() == list(range(1, 26))
    assert parts.position() == 25


def test_each_exchange_has_a_position_of_its_own(parts: Parts) -> None:
    parts.append(2)
    service = NotificationService(parts.route(X), parts.route("y"))
    service.publish_notifications(X)
    parts.append(1)

    assert service.publish_notifications("y") == 3
    assert service.publish_notifications(X) == 1
    assert parts.ids(X) == parts.ids("y") == [1, 2, 3]


def test_limit_bounds_how_many_are_published(parts: Parts) -> None:
    parts.append(25)
    service = parts.service(batch_size=10)

    assert [service.publish_notifications(X, 12) for _ in range(3)] == [12, 12, 1]
    assert parts.ids() == list(range(1, 26))


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nothing_through_is_a_mistake_of_the_caller(
    parts: Parts, limit: int
) -> None:
    with pytest.raises(ValueError, match="limit must be at least 1"):
        parts.service().publish_notifications(X, limit)


def test_the_position_moves_over_events_that_the_exchange_does_not_want(parts: Parts) -> None:
    for type_name in ("order.placed", "invoice.sent", "order.shipped", "invoice.paid"):
        parts.append(1, type_name)
    service = parts.service(events=["order.*"])

    assert service.publish_notifications(X) == 2
    assert parts.ids() == [1, 3]
    assert parts.position() == 4
    assert parts.told.of("published") == [("published", X, 2, 4)]


def test_unwanted_events_alone_move_the_position_and_tell_nobody(parts: Parts) -> None:
    parts.append(5, "invoice.sent")

    assert parts.service(events=["order.*"], batch_size=2).publish_notifications(X) == 0
    assert parts.ids() == []
    assert parts.position() == 5
    told = [call[0] for call in parts.told.calls]
    assert told == ["lease_taken", "spent", "lease_released"]


def test_limit_counts_only_what_is_sent(parts: Parts) -> None:
    for _ in range(5):
        parts.append(3, "a")
        parts.append(1, "b")

    assert parts.service(events=["b"], batch_size=2).publish_notifications(X, 2) == 2
    assert parts.ids() == [4, 8]


def test_the_position_does_not_move_over_unwanted_events_before_what_came_first_is_accepted(
    parts: Parts,
) -> None:
    parts.append(1, "a")
    parts.append(3, "b")
    parts.producer = Producer(parts.broker, no_progress=0.02)
    parts.producer.before_send = at(1, parts.broker.freeze)

    with pytest.raises(BrokerUnavailableError):
        parts.service(events=["a"]).publish_notifications(X)
    assert parts.position() is None


def test_what_was_accepted_is_tracked_when_a_later_send_fails(parts: Parts) -> None:
    parts.append(10)
    parts.producer.before_send = at(7, lambda: parts.broker.reject(X))

    with pytest.raises(NotAcceptedError) as caught:
        parts.service().publish_notifications(X)

    assert caught.value.event_id == 7
    assert parts.position() == 6
    assert parts.told.of("published") == [("published", X, 6, 6)]
    assert parts.service().publish_notifications(X) == 4
    assert parts.ids() == list(range(1, 11))


def test_nothing_is_tracked_that_was_not_accepted(parts: Parts) -> None:
    parts.append(10)
    parts.producer = Producer(parts.broker, no_progress=0.02)
    parts.producer.before_send = at(7, parts.broker.freeze)

    with pytest.raises(BrokerUnavailableError):
        parts.service().publish_notifications(X)

    assert parts.position() == 6


def test_acceptance_that_comes_late_is_waited_for(parts: Parts) -> None:
    parts.append(10)

    def thaw_when_all_are_sent(event_id: int) -> None:
        if event_id == 1:
            parts.broker.freeze()
        if event_id == 10:
            parts.broker.thaw()

    parts.producer.before_send = thaw_when_all_are_sent

    assert parts.service().publish_notifications(X) == 10
    assert parts.position() == 10


class Poisoned(JsonSerializer):
    """Cannot serialize one event."""

    def __init__(self, event_id: int, error: Exception) -> None:
        self.event_id = event_id
        self.error = error

    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        if event.event_id == self.event_id:
            raise self.error
        return super().serialize(event)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no such unit"), "no such unit"),
        (KeyError("unit"), "KeyError: 'unit'"),
        (RecursionError("too deep"), "RecursionError: too deep"),
    ],
)
def test_an_event_that_cannot_be_serialized_stops_its_exchange_with_its_id(
    parts: Parts, error: Exception, reason: str
) -> None:
    parts.append(5)
    service = parts.service(serializer=Poisoned(4, error))

    for _ in range(2):
        with pytest.raises(UndeliverableEventError) as caught:
            service.publish_notifications(X)
        assert caught.value.event_id == 4
        assert str(caught.value) == (
            f"Exchange 'x': event 4 (OrderPlaced) cannot be serialized: {reason}. "
            "Mend it in the event store."
        )

    assert parts.ids() == [1, 2, 3]
    assert parts.position() == 3


def test_what_comes_before_poison_does_not_wait_for_it(parts: Parts) -> None:
    parts.append(5)

    def accept_late(event_id: int) -> None:
        if event_id == 1:
            parts.broker.freeze()
        if event_id == 4:
            raise UndeliverableEventError("Too large.", exchange_name=X, event_id=4)

    thaw_on_flush(parts)
    parts.producer.before_send = accept_late

    with pytest.raises(UndeliverableEventError):
        parts.service().publish_notifications(X)

    assert parts.ids() == [1, 2, 3]
    assert parts.position() == 3


def test_a_lost_lease_moves_nothing(parts: Parts) -> None:
    parts.append(5)
    service = parts.service()
    service.publish_notifications(X)
    parts.append(5)
    parts.producer.before_send = at(8, lambda: parts.tracker.replay(X, 2))

    with pytest.raises(LeaseLostError):
        service.publish_notifications(X)

    assert parts.position() == 2
    assert parts.owner() is None


def test_while_one_relay_works_another_one_is_told_who(parts: Parts) -> None:
    parts.append(3)
    other = parts.service(Producer(parts.broker))
    refusals: list[LeaseHeldError] = []

    def try_too() -> None:
        with pytest.raises(LeaseHeldError) as caught:
            other.publish_notifications(X)
        refusals.append(caught.value)

    parts.producer.before_send = at(2, try_too)

    assert parts.service().publish_notifications(X) == 3
    assert refusals[0].owner in str(refusals[0])
    assert parts.ids() == [1, 2, 3]
    assert other.publish_notifications(X) == 0


def test_a_start_that_fails_gives_everything_back(parts: Parts) -> None:
    parts.append(1)
    parts.broker.refuse()

    with pytest.raises(BrokerUnavailableError):
        parts.service().publish_notifications(X)

    assert parts.owner() is None
    assert relay_threads() == []
    parts.broker.admit()
    assert parts.service().publish_notifications(X) == 1


def test_nothing_is_left_open_or_running(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.append(3)
    closed: list[int] = []
    monkeypatch.setattr(parts.store, "close", lambda: closed.append(parts.broker.connections))

    parts.service().publish_notifications(X)

    assert closed == [0], "the store is closed once, after the producer"
    assert parts.owner() is None
    assert relay_threads() == []


def test_a_producer_that_cannot_let_go_costs_nothing_but_a_line_in_the_log(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parts.append(3)

    def close(_exchange: str) -> None:
        raise OSError("stuck")

    monkeypatch.setattr(parts.producer, "close", close)

    assert parts.service().publish_notifications(X) == 3
    assert "x: could not let go of everything" in caplog.text
    assert parts.owner() is None
    assert relay_threads() == []


def test_a_store_that_fails_in_the_middle_is_told_and_what_was_accepted_is_tracked(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.append(10)
    read = parts.store.all_stored_events_since

    def fail_later(event_id: int, limit: int) -> Sequence[StoredEvent]:
        if event_id >= 4:
            raise StoreUnavailableError("The database is gone.")
        return read(event_id, limit)

    monkeypatch.setattr(parts.store, "all_stored_events_since", fail_later)

    with pytest.raises(StoreUnavailableError):
        parts.service(batch_size=2).publish_notifications(X)
    assert parts.position() == 4


class _Thawing(PassingOn):
    """Its broker answers when it is asked for its word, not before."""

    def __init__(self, inside: OpenExchange, parts: Parts) -> None:
        super().__init__(inside)
        self._parts = parts

    @override
    def flush(self, timeout: float | None = None) -> None:
        self._parts.broker.thaw()
        super().flush(timeout)


def thaw_on_flush(parts: Parts) -> None:
    """Let the broker answer when it is asked for its word, not before."""
    open_exchange = parts.producer.open_exchange
    parts.producer.open_exchange = lambda context: _Thawing(  # type: ignore[method-assign]
        open_exchange(context), parts
    )
