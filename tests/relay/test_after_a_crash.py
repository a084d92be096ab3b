"""What the broker, the tracker and the store say after a crash or a restore decides the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.relay.parts import REMEMBERS, Parts, PassingOn, Producer, X
from tidings import (
    BrokerUnavailableError,
    PositionMismatchError,
    StoreUnavailableError,
    UndeliverableEventError,
)
from tidings.errors import UnreadableEventError
from tidings.plugins import Capability
from tidings.relay.owner import Owner
from tidings.relay.run import running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.event import StoredEvent
    from tidings.plugins import ExchangeContext, Notification, OpenExchange


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


@pytest.mark.parametrize("kind", ["unsendable", "unreadable"])
def test_nor_does_an_event_that_goes_into_quarantine_until_the_one_before_is_accepted(
    parts: Parts, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.append(4)
    crash_after_accept(parts, 4)
    parts.append(1)
    told: list[int | None] = []
    read, refuse = parts.store.all_stored_events_since, UndeliverableEventError

    def stumble(since: int, limit: int) -> Sequence[StoredEvent]:
        if since == 4:
            raise UnreadableEventError("no time", event_id=5, type_name=None)
        return read(since, min(limit, 4 - since))

    def note(event_id: int) -> None:
        told.append(parts.position())
        if event_id == 5:
            raise refuse("too large", exchange_name=X, event_id=5)

    if kind == "unreadable":
        monkeypatch.setattr(parts.store, "all_stored_events_since", stumble)
    parts.producer.before_send = note
    service = parts.service(capabilities=REMEMBERS, passes_poison=True)

    assert service.publish_notifications(X, 1) == 0
    assert parts.ids() == [1, 2, 3, 4, 4]
    assert set(told) == {None}
    assert parts.position() == 5


def test_nor_does_what_was_passed_over_take_it_back_before_an_event_in_quarantine(
    parts: Parts,
) -> None:
    parts.append(4)
    crash_after_accept(parts, 4)
    parts.append(1, type_name="Other")
    parts.append(1)

    def refuse(event_id: int) -> None:
        if event_id == 6:
            raise UndeliverableEventError("too large", exchange_name=X, event_id=6)

    parts.producer.before_send = refuse
    service = parts.service(capabilities=REMEMBERS, events=["OrderPlaced"], passes_poison=True)

    assert service.publish_notifications(X) == 0
    assert parts.position() == 6
    assert service.publish_notifications(X) == 0
    assert [each.event_id for each in parts.tracker.quarantined_events(X)] == [6]


def test_what_the_broker_only_remembers_stops_the_exchange_if_it_cannot_be_sent_again(
    parts: Parts,
) -> None:
    parts.append(4)
    crash_after_accept(parts, 4)
    parts.append(1)

    def refuse(event_id: int) -> None:
        raise UndeliverableEventError(f"{event_id}", exchange_name=X, event_id=event_id)

    parts.producer.before_send = refuse
    with pytest.raises(UndeliverableEventError, match="4"):
        parts.service(capabilities=REMEMBERS, passes_poison=True).publish_notifications(X)
    assert parts.position() is None


@pytest.mark.parametrize("cause", ["a refusal", "a lost connection"])
def test_how_far_was_sent_is_known_also_if_the_database_goes_away_after_the_broker(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    def lose_the_database(*_: object) -> None:
        raise StoreUnavailableError("The database is gone.")

    def fail(event_id: int) -> None:
        if event_id < 4:
            return
        if cause == "a refusal":
            monkeypatch.setattr(parts.producer, "open_exchange", lose_the_database)
            raise UndeliverableEventError("too large", exchange_name=X)
        track = "track_most_recent_published_message"
        monkeypatch.setattr(parts.tracker, track, lose_the_database)
        raise BrokerUnavailableError("The broker is gone.", exchange_name=X)

    parts.append(4)
    parts.producer.before_send = fail
    owner = Owner()
    away = (StoreUnavailableError, BrokerUnavailableError)
    with pytest.raises(away), running(parts.route(), owner) as run:
        run.step()

    assert owner.reached[X].position.event_id == 4


class DeafExchange(PassingOn):
    """Loses event 5 on the way, and hears of no acceptance from then on."""

    _is_deaf = False

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        for each in notifications:
            if each.event_id == 5:
                self._is_deaf = True
            elif each.event_id == 6 and self._is_deaf:
                raise UndeliverableEventError("too large", exchange_name=X, event_id=5)
            else:
                super().send([each])

    @override
    def accepted_id(self) -> int | None:
        return None if self._is_deaf else super().accepted_id()


class DeafProducer(Producer):
    """Opens exchanges that are deaf."""

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        return DeafExchange(super().open_exchange(context))


@pytest.mark.parametrize("lasting", [frozenset(), {Capability.REMEMBERS_DURABLY}])
def test_what_arrived_before_a_refusal_unheard_is_counted(
    parts: Parts, lasting: frozenset[Capability]
) -> None:
    parts.append(10)
    service = parts.service(
        DeafProducer(parts.broker), capabilities=REMEMBERS | lasting, passes_poison=True
    )

    assert service.publish_notifications(X) == 9
    assert parts.ids() == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert sum(call[2] for call in parts.told.of("published")) == 9


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
            tracked.append(parts.position())
            parts.producer.on_accepted()
            tracked.append(parts.position())

    parts.producer.before_send = ask

    assert parts.service().publish_notifications(X) == 9
    assert tracked == [None, 4]


def test_a_producer_whose_events_cannot_be_tracked_sends_no_more(parts: Parts) -> None:
    parts.append(9)

    def fail(*_: object) -> None:
        raise StoreUnavailableError("The database is gone.")

    def ask(event_id: int) -> None:
        if event_id == 5:
            parts.producer.on_accepted()

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
        restored.service(tracker=parts.tracker).publish_notifications(X)
    assert restored.ids() == []
