"""What an observer is told of a relay: each call, of batches, and only of what happened."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from tests.relay.parts import REMEMBERS, Parts, PassingOn, Told, X, at
from tests.relay.working import running
from tidings import (
    BrokerUnavailableError,
    LeaseHeldError,
    LeaseLostError,
    NewEvent,
    Observer,
    Observers,
    UndeliverableEventError,
)
from tidings.relay import checkpoints as checkpoints_module
from tidings.relay import in_flight as in_flight_module
from tidings.relay import stages as stages_module
from tidings.relay.owner import Owner
from tidings.relay.run import running as run_of
from tidings.relay.worker import Worker
from tidings.testing import eventually

if TYPE_CHECKING:
    from tidings.plugins import AcceptedBatch

pytestmark = pytest.mark.usefixtures("impatient")


class OfToday(Observer):
    """Was written when these were all the calls that there were."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    @override
    def published(self, exchange_name: str, count: int, last_event_id: int) -> None:
        self.heard.append((exchange_name, count))


def names(told: Told, *left_out: str) -> list[str]:
    return [call[0] for call in list(told.calls) if call[0] not in ("spent", *left_out)]


def batches(told: Told) -> list[AcceptedBatch]:
    return [batch for _, _, batch in told.of("accepted")]


def test_a_service_tells_of_lease_batch_and_position_in_the_order_of_what_happens(
    parts: Parts,
) -> None:
    parts.append(3)

    parts.service().publish_notifications(X)

    assert names(parts.told) == ["lease_taken", "sent", "accepted", "published", "lease_released"]
    assert parts.told.of("sent") == [("sent", X, [1, 2, 3])]
    assert [(batch.count, batch.last_event_id) for batch in batches(parts.told)] == [(3, 3)]
    assert parts.told.of("published") == [("published", X, 3, 3)]


def test_a_worker_tells_when_it_starts_is_idle_works_and_ends(parts: Parts) -> None:
    with running(parts.route()):
        eventually(lambda: parts.told.of("idle"))
        parts.append(2)
        eventually(lambda: len(parts.told.of("idle")) == 2)

    assert names(parts.told) == [
        "started", "lease_taken", "idle", "sent", "accepted", "published", "idle",
        "lease_released", "ended",
    ]  # fmt: skip
    assert parts.told.of("ended") == [("ended", X, None)]


def test_an_error_that_ends_the_relay_is_told_with_the_end(parts: Parts) -> None:
    class FinalError(BrokerUnavailableError):
        final = True

    error = FinalError("For good.", exchange_name=X)
    parts.append()

    def fail() -> None:
        raise error

    parts.producer.before_send = at(1, fail)
    with pytest.raises(FinalError):
        Worker([parts.route()]).run()

    assert parts.told.of("ended") == [("ended", X, error)]


def test_an_observer_hears_of_batches_never_of_each_event(parts: Parts) -> None:
    parts.append(1000)

    parts.service().publish_notifications(X)

    sent = [ids for _, _, ids in parts.told.of("sent")]
    assert [event_id for ids in sent for event_id in ids] == list(range(1, 1001))
    assert len(sent) == 10
    assert len(parts.told.calls) < 40
    assert sum(batch.count for batch in batches(parts.told)) == 1000


def test_how_long_it_took_is_counted_from_the_first_events_time_and_from_its_sending(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(datetime.now(UTC))
    for module in (checkpoints_module, in_flight_module):
        monkeypatch.setattr(module, "time", clock)
    with parts.store.transaction() as transaction:
        for seconds in (30, 20):
            occurred = clock.began - timedelta(seconds=seconds)
            parts.store.append(transaction, NewEvent("OrderPlaced", {}, occurred_on=occurred))
    parts.producer.before_send = at(2, lambda: clock.pass_by(7))

    parts.service().publish_notifications(X)

    (batch,) = batches(parts.told)
    assert batch.seconds_since_occurred == pytest.approx(37)
    assert batch.seconds_since_sent == pytest.approx(7)


def test_of_an_event_from_a_clock_that_goes_ahead_no_negative_time_is_told(parts: Parts) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    with parts.store.transaction() as transaction:
        parts.store.append(transaction, NewEvent("OrderPlaced", {}, occurred_on=ahead))

    parts.service().publish_notifications(X)

    assert batches(parts.told)[0].seconds_since_occurred == 0


def test_what_is_accepted_while_more_is_sent_is_told_with_what_is_still_in_flight(
    parts: Parts,
) -> None:
    parts.append(4)
    parts.producer.before_send = at(4, parts.producer.on_accepted)

    parts.service().publish_notifications(X)

    assert [(b.count, b.last_event_id, b.in_flight) for b in batches(parts.told)] == [
        (3, 3, 1),
        (1, 4, 0),
    ]


def test_events_that_the_exchange_does_not_want_are_neither_sent_nor_accepted(
    parts: Parts,
) -> None:
    parts.append(2, "Dull")
    parts.append(1)
    parts.append(2, "Dull")

    parts.service(events=["Order*"]).publish_notifications(X)

    assert parts.told.of("sent") == [("sent", X, [3])]
    assert [batch.count for batch in batches(parts.told)] == [1]
    assert parts.position() == 5


def test_what_a_broker_had_accepted_unheard_is_told_when_it_is_found(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(PassingOn):
        @override
        def accepted_id(self) -> int | None:
            return None

    parts.append(4)
    opened = parts.producer.open_exchange
    monkeypatch.setattr(parts.producer, "open_exchange", lambda context: Deaf(opened(context)))
    with run_of(parts.route(capabilities=REMEMBERS), Owner()) as run:
        run.step(3)
        assert batches(parts.told) == []
        monkeypatch.setattr(parts.producer, "open_exchange", opened)
        run.reopen()

    assert parts.ids() == [1, 2, 3]
    assert [(b.count, b.last_event_id, b.in_flight) for b in batches(parts.told)] == [(3, 3, 0)]


def test_a_lease_is_told_with_whom_it_was_taken_from(parts: Parts) -> None:
    parts.tracker.acquire_lease(X, "host=dead", 0.0)
    parts.append()

    parts.service().publish_notifications(X)
    parts.service().publish_notifications(X)

    first, second = (lease for _, _, lease in parts.told.of("lease_taken"))
    assert (first.taken_from, second.taken_from) == ("host=dead", None)
    assert second.epoch > first.epoch


def test_a_lease_that_was_lost_is_not_told_as_given_back(parts: Parts) -> None:
    parts.append(2)
    parts.producer.before_send = at(2, lambda: parts.tracker.replay(X, 0))

    with pytest.raises(LeaseLostError):
        parts.service().publish_notifications(X)

    assert names(parts.told)[-1] == "lease_lost"
    assert parts.told.of("lease_released") == []


def test_a_lease_that_another_relay_holds_was_neither_taken_nor_given_back(parts: Parts) -> None:
    parts.tracker.acquire_lease(X, "another", 60.0)

    with pytest.raises(LeaseHeldError):
        parts.service().publish_notifications(X)

    assert parts.told.calls == []


def test_a_failure_ends_the_run_and_its_lease_and_the_next_one_recovers(parts: Parts) -> None:
    parts.append()
    parts.producer.before_send = at(1, parts.broker.cut)

    with running(parts.route()):
        eventually(lambda: parts.told.of("recovered"))

    heard = names(parts.told, "idle", "sent", "accepted", "published")
    assert heard == [
        "started", "lease_taken", "lease_released", "failed", "lease_taken", "recovered",
        "lease_released", "ended",
    ]  # fmt: skip


def test_a_relay_that_stands_by_again_after_a_failure_says_so_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.relay.elsewhere.WORKS_AFTER", 0.0)
    lease = parts.tracker.acquire_lease(X, "another", 60.0)

    with running(parts.route()):
        eventually(lambda: parts.told.of("standing_by"))
        parts.broker.refuse()
        parts.tracker.release_lease(lease)
        eventually(lambda: parts.told.of("failed"))
        eventually(lambda: acquired(parts, "another"))
        eventually(lambda: len(parts.told.of("standing_by")) == 2)

    assert parts.told.of("standing_by") == [("standing_by", X, "another")] * 2


def acquired(parts: Parts, owner: str) -> bool:
    try:
        parts.tracker.acquire_lease(X, owner, 60.0)
    except LeaseHeldError:
        return False
    return True


def test_an_exchange_that_is_held_is_told_so_with_the_end_and_is_not_idle(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.relay.holding.WORTH_TELLING", 0.0)
    with ExitStack() as relay:
        with parts.store.transaction() as slow:
            parts.store.append(slow, NewEvent("Slow", {}))
            parts.append()
            relay.enter_context(running(parts.route()))
            eventually(lambda: parts.told.of("held"))
            assert parts.told.of("idle") == []
        eventually(lambda: parts.told.of("no_longer_held"))

    ((_, _, missing_id, seconds),) = parts.told.of("no_longer_held")
    assert missing_id == 1
    assert seconds > 0


def test_quarantine_is_told(parts: Parts) -> None:
    parts.append(2)
    poison = UndeliverableEventError("Event 1 is poison.", exchange_name=X, event_id=1)

    def refuse() -> None:
        raise poison

    parts.producer.before_send = at(1, refuse)
    parts.service(passes_poison=True).publish_notifications(X)

    assert parts.told.of("quarantined") == [("quarantined", X, 1, "Event 1 is poison.")]
    assert [ids for _, _, ids in parts.told.of("sent")] == [[1, 2], [2]]
    assert [batch.count for batch in batches(parts.told)] == [1]


def test_the_time_of_each_stage_is_told_and_a_stage_within_another_counts_for_itself(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(datetime.now(UTC))
    monkeypatch.setattr(stages_module, "time", clock)
    parts.append(2)
    taking(parts.store, "all_stored_events_since", clock, 1, monkeypatch)
    taking(parts.tracker, "track_most_recent_published_message", clock, 4, monkeypatch)
    parts.producer.before_send = at(2, lambda: slow_send(parts, clock))

    parts.service().publish_notifications(X)

    total: dict[str, float] = {}
    for _, _, seconds in parts.told.of("spent"):
        for stage, spent in seconds.items():
            total[stage] = total.get(stage, 0) + spent
    assert total == {"read": 2, "serialize": 0, "send": 23, "track": 8, "await": 0}


def slow_send(parts: Parts, clock: Clock) -> None:
    clock.pass_by(20)
    parts.producer.on_accepted()
    clock.pass_by(3)


def taking(
    part: object, method: str, clock: Clock, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let each call of a part's method take that long."""
    inside = getattr(part, method)

    def call(*arguments: Any) -> Any:
        clock.pass_by(seconds)
        return inside(*arguments)

    monkeypatch.setattr(part, method, call)


class Clock:
    """Goes on as a test says."""

    def __init__(self, began: datetime) -> None:
        self.began = began
        self._passed = 0.0

    def pass_by(self, seconds: float) -> None:
        self._passed += seconds

    def time(self) -> float:
        return self.began.timestamp() + self._passed

    def monotonic(self) -> float:
        return 1000.0 + self._passed


def test_stages_are_told_once_a_second_and_not_with_each_batch(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(datetime.now(UTC))
    monkeypatch.setattr(stages_module, "time", clock)
    parts.append(50)
    with run_of(parts.route(batch_size=5), Owner()) as run:
        for _ in range(5):
            run.step()
        assert parts.told.of("spent") == []
        clock.pass_by(1.0)
        run.step()
        assert len(parts.told.of("spent")) == 1
        run.step()
    assert len(parts.told.of("spent")) == 2


def test_what_reaches_nobody_is_told_and_counted_anew_when_the_exchange_is_opened_anew(
    parts: Parts,
) -> None:
    parts.producer.unroutable = {1, 2, 4, 5}
    parts.append(6)

    with run_of(parts.route(batch_size=3), Owner()) as run:
        run.step()
        run.flush()
        run.reopen()
        alone = parts.store.stored_event(4)
        assert alone is not None
        run.send_alone(alone)
        run.reopen()
        run.step()
        run.flush()
        run.step()

    assert parts.told.of("unroutable") == [("unroutable", X, count) for count in (2, 1, 2)]


def test_an_observer_of_todays_interface_goes_on_working(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    old = OfToday()
    parts.append(3)

    with running(parts.route(observers=Observers([old]))):
        eventually(lambda: parts.position() == 3)
        parts.broker.cut()
        parts.append()
        eventually(lambda: parts.position() == 4)

    assert sum(count for _, count in old.heard) == 4
    assert "Observer" not in caplog.text


@pytest.mark.parametrize("call", sorted(name for name in vars(Observer) if name[0] != "_"))
def test_one_that_raises_keeps_no_other_from_hearing_and_no_event_from_being_sent(
    call: str, parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    class Raising(Observer):
        pass

    def fail(*_arguments: object) -> None:
        raise LookupError("an observer's bug")

    setattr(Raising, call, fail)
    heard: list[tuple[object, ...]] = []

    class Listening(Observer):
        pass

    setattr(Listening, call, lambda _self, *arguments: heard.append(arguments))

    with caplog.at_level(logging.ERROR):
        getattr(Observers([Raising(), Listening()]), call)(*arguments_of(call))

    assert heard == [arguments_of(call)]
    assert f"Raising failed in {call}" in caplog.text


def arguments_of(call: str) -> tuple[object, ...]:
    """Return as many arguments as the call takes; whatever they are, they are passed on."""
    code = getattr(Observer, call).__code__
    return tuple(range(code.co_argcount - 1))
