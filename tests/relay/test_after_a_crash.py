"""What the broker, the tracker and the store say after a crash or a restore decides the start."""

from __future__ import annotations

import pytest

from tests.relay.parts import REMEMBERS, Parts, X
from tidings import (
    NotificationService,
    PositionMismatchError,
    StoreUnavailableError,
)
from tidings.plugins import Capability


def crash_after_accept(parts: Parts, count: int) -> None:
    """Let the broker accept events of which the tracker never hears."""

    def forget(*_: object) -> None:
        raise StoreUnavailableError("The database is gone.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts.tracker, "track_most_recent_published_message", forget)
        with pytest.raises(StoreUnavailableError):
            parts.service().publish_notifications(X, count)
    assert parts.ids() == list(range(1, count + 1))
    assert parts.position() is None


def test_what_the_broker_remembers_is_not_published_again(parts: Parts) -> None:
    parts.append(10)
    crash_after_accept(parts, 4)

    assert parts.service(capabilities=REMEMBERS).publish_notifications(X) == 6
    assert parts.ids() == list(range(1, 11))
    assert parts.position() == 10


def test_a_memory_that_may_be_lost_does_not_move_the_position(parts: Parts) -> None:
    parts.append(4)
    crash_after_accept(parts, 4)

    assert parts.service(capabilities=REMEMBERS).publish_notifications(X) == 0
    assert parts.position() is None


def test_nor_does_an_event_that_is_passed_over_move_it_there(parts: Parts) -> None:
    parts.append(4)
    crash_after_accept(parts, 4)
    parts.append(3, type_name="Other")
    service = parts.service(capabilities=REMEMBERS, events=["OrderPlaced"])

    assert service.publish_notifications(X) == 0
    assert parts.position() is None
    parts.append(1)
    parts.append(1, type_name="Other")
    assert service.publish_notifications(X) == 1
    assert parts.position() == 9


def test_a_memory_that_lasts_moves_the_position(parts: Parts) -> None:
    parts.append(4)
    crash_after_accept(parts, 4)
    lasting = REMEMBERS | {Capability.REMEMBERS_DURABLY}

    assert parts.service(capabilities=lasting).publish_notifications(X) == 0
    assert parts.position() == 4


def test_without_a_memory_everything_since_the_position_is_published(parts: Parts) -> None:
    parts.append(4)
    crash_after_accept(parts, 4)

    assert parts.service().publish_notifications(X) == 4
    assert parts.ids() == [1, 2, 3, 4, 1, 2, 3, 4]


def test_a_producer_can_have_what_is_accepted_tracked_before_it_sends_more(parts: Parts) -> None:
    parts.append(9)
    tracked: list[int | None] = []

    def ask(event_id: int) -> None:
        if event_id == 5:
            assert parts.producer.on_accepted is not None
            parts.producer.on_accepted("another")
            tracked.append(parts.position())
            parts.producer.on_accepted(X)
            tracked.append(parts.position())

    parts.producer.before_send = ask

    assert parts.service().publish_notifications(X) == 9
    assert tracked == [None, 4]
    assert parts.producer.on_accepted is None


def test_a_producer_whose_events_cannot_be_tracked_sends_no_more(parts: Parts) -> None:
    parts.append(9)

    def fail(*_: object) -> None:
        raise StoreUnavailableError("The database is gone.")

    def ask(event_id: int) -> None:
        if event_id == 5:
            assert parts.producer.on_accepted is not None
            parts.producer.on_accepted(X)

    parts.producer.before_send = ask
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts.tracker, "track_most_recent_published_message", fail)
        with pytest.raises(StoreUnavailableError):
            parts.service().publish_notifications(X)

    assert parts.ids() == [1, 2, 3, 4]
    assert parts.service().publish_notifications(X) == 9


def test_a_replay_is_not_cut_short_by_what_the_broker_remembers(parts: Parts) -> None:
    parts.append(4)
    service = parts.service(capabilities=REMEMBERS)
    service.publish_notifications(X)
    parts.tracker.replay(X, 1)

    assert service.publish_notifications(X) == 3
    assert parts.ids() == [1, 2, 3, 4, 2, 3, 4]


def test_a_broker_ahead_of_the_store_stops_with_what_to_do(parts: Parts) -> None:
    parts.append(4)
    parts.service().publish_notifications(X)
    restored = Parts()
    restored.append(2)
    restored.broker, restored.producer = parts.broker, parts.producer

    with pytest.raises(PositionMismatchError, match=r"already has event 4.*is 2.*tidings replay x"):
        restored.service(capabilities=REMEMBERS).publish_notifications(X)
    assert restored.position() is None
    assert parts.ids() == [1, 2, 3, 4]


def test_a_broker_ahead_of_the_store_is_not_believed_when_the_store_has_grown(parts: Parts) -> None:
    parts.append(4)
    parts.service().publish_notifications(X)
    restored = Parts()
    restored.append(2)
    restored.broker, restored.producer = parts.broker, parts.producer
    service = restored.service(capabilities=REMEMBERS)
    with pytest.raises(PositionMismatchError):
        service.publish_notifications(X)
    restored.append(4)
    later = r"already has event 4.*came later.*replay x"

    for _ in range(2):
        with pytest.raises(PositionMismatchError, match=later):
            service.publish_notifications(X)
    restored.tracker.replay(X, 2)

    assert service.publish_notifications(X) == 4
    assert parts.ids() == [1, 2, 3, 4, 3, 4, 5, 6]


def test_an_event_that_stopped_the_exchange_and_was_mended_is_no_mismatch(parts: Parts) -> None:
    parts.append(4)
    service = parts.service(capabilities=REMEMBERS)
    crash_after_accept(parts, 4)
    lease = parts.tracker.acquire_lease(X, "me", 15)
    parts.tracker.note_stop(4, "Exchange 'x': event 4 cannot be serialized.", lease)
    parts.tracker.release_lease(lease)

    assert service.publish_notifications(X) == 0


def test_a_position_ahead_of_the_store_stops_with_what_to_do(parts: Parts) -> None:
    parts.append(4)
    parts.service().publish_notifications(X)
    restored = Parts()
    restored.append(2)

    with pytest.raises(PositionMismatchError, match="tidings replay x"):
        NotificationService(restored.store, parts.tracker, restored.producer).publish_notifications(
            X
        )
    assert restored.ids() == []
