"""What a worker says of its exchanges' threads, to those who look from beside it."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.relay.parts import Parts, Producer, X, at
from tests.relay.working import running
from tidings.errors import BrokerUnavailableError
from tidings.relay import exchange_worker
from tidings.relay import worker as worker_module
from tidings.relay.observers import Observers
from tidings.relay.owner import Owner
from tidings.relay.pulse import Pulse
from tidings.relay.retry import retry
from tidings.relay.run import running as begun
from tidings.relay.worker import Worker
from tidings.testing import eventually

if TYPE_CHECKING:
    from tidings.relay.pulse import Vitals

pytestmark = pytest.mark.usefixtures("impatient")


def vitals(worker: Worker) -> Vitals:
    (found,) = worker.vitals()
    return found


def becomes(worker: Worker, state: str) -> Vitals:
    eventually(lambda: vitals(worker).state == state)
    return vitals(worker)


def gone() -> None:
    raise BrokerUnavailableError("The broker went away.", exchange_name=X)


def test_a_worker_that_has_not_begun_is_live_and_neither_ready_nor_started(parts: Parts) -> None:
    found = vitals(Worker([parts.route()]))

    assert found.state == "starting"
    assert (found.is_live(1), found.is_ready, found.was_tried) == (True, False, False)


def test_an_exchange_with_nothing_to_send_works(parts: Parts) -> None:
    with running(parts.route()) as worker:
        found = becomes(worker, "working")

        assert (found.is_live(1), found.is_ready, found.was_tried) == (True, True, True)


def test_an_idle_exchange_takes_a_step_with_each_wait_of_a_long_pause(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = parts.producer.waits
    monkeypatch.setattr(exchange_worker, "LONGEST_WAIT", 0.3)
    monkeypatch.setattr(Pulse, "beat", lambda *_: waits.append(0))
    with running(parts.route(), poll_seconds=60):
        eventually(lambda: waits.count(exchange_worker.LONGEST_WAIT) > 1)

    assert waits.count(exchange_worker.LONGEST_WAIT) > 1
    assert not [pair for pair in pairwise(waits) if all(pair)], "two waits, and no step between"


def test_each_event_that_is_sent_again_is_a_step(parts: Parts) -> None:
    parts.append(3)
    steps: list[list[int]] = []
    with begun(parts.route(), Owner()) as run:
        for event in parts.store.all_stored_events_since(0, 3):
            parts.tracker.quarantine(X, event, "poison", run.lease)
        parts.tracker.ask_to_retry(X)
        retry(run, lambda: steps.append(parts.ids()))

    assert steps == [[1], [1, 2], [1, 2, 3]]


def test_a_broker_that_is_down_makes_it_unready_and_never_dead(parts: Parts) -> None:
    parts.append(2)
    down = [True]
    parts.producer.before_send = lambda _event_id: gone() if down else None
    with running(parts.route()) as worker:
        found = becomes(worker, "failing")
        down.clear()
        again = becomes(worker, "working")

    assert (found.is_live(1), found.is_ready, found.was_tried) == (True, False, True)
    assert found.reason == "The broker went away."
    assert (again.is_ready, again.reason) == (True, None)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Give the clock that a pulse goes by: ``now.is_`` is a number of seconds."""
    now = SimpleNamespace(is_=1000.0)
    clock = SimpleNamespace(monotonic=lambda: now.is_)
    monkeypatch.setattr("tidings.relay.pulse.time", clock)
    return now


def test_the_pause_before_the_next_try_is_no_silence(now: SimpleNamespace) -> None:
    pulse = Pulse(X)
    pulse.failed(X, BrokerUnavailableError("Down.", exchange_name=X), 25.0)

    now.is_ += 20
    in_the_pause = pulse.vitals().silent_seconds
    now.is_ += 20

    assert (in_the_pause, pulse.vitals().silent_seconds) == (0, 15)


def test_a_standby_is_ready_and_works_when_it_has_taken_over(parts: Parts) -> None:
    with running(parts.route()) as first:
        becomes(first, "working")
        with running(parts.route(producer=Producer(parts.broker))) as second:
            found = becomes(second, "standing by")
            first.shut_down()
            becomes(second, "working")

    assert (found.is_ready, found.was_tried) == (True, True)
    assert str(found.reason).startswith("relayed by ")


def test_a_thread_that_ends_by_a_fault_is_dead_and_one_that_was_told_to_end_is_not(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise SystemError("a fault of ours")

    live = parts.route("live", producer=Producer(parts.broker))
    with monkeypatch.context() as patched:
        patched.setattr("threading.excepthook", lambda _args: None)
        patched.setattr("tidings.relay.trouble.Trouble.failed", broken)
        parts.append(1)
        parts.producer.before_send = at(1, gone)
        with running(parts.route(), live) as worker:
            eventually(lambda: [each.state for each in worker.vitals()] == ["dead", "working"])
            dead = worker.vitals()[0]

    assert dead.reason == "its thread ended with SystemError: a fault of ours"
    assert not dead.is_live(60)
    assert worker.vitals()[1].state == "ended"
    assert worker.vitals()[1].is_live(60)


def test_a_thread_that_hangs_is_silent_and_so_stuck(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LAST_JOIN", 0.3)
    parts.producer = Producer(parts.broker, no_progress=60)
    with running(parts.route(capabilities=frozenset())) as worker:  # so it is flushed
        becomes(worker, "working")
        parts.broker.freeze()
        parts.append(1)
        eventually(lambda: vitals(worker).silent_seconds > 0.5)

        assert not vitals(worker).is_live(0.5)
        assert vitals(worker).is_live(60)
        parts.broker.thaw()
        eventually(lambda: vitals(worker).is_live(0.5))


def test_a_flush_that_lasts_while_the_broker_accepts_is_no_silence(now: SimpleNamespace) -> None:
    pulse = Pulse(X)
    now.is_ += 20
    before = pulse.vitals().silent_seconds

    pulse.published(X, 1, 1)

    assert (before, pulse.vitals().silent_seconds) == (20, 0)
    assert pulse.vitals().state == "starting"


def test_a_position_beyond_the_newest_event_waits_and_is_ready(parts: Parts) -> None:
    parts.append(1)
    parts.tracker.replay(X, 5)
    with running(parts.route()) as worker:
        found = becomes(worker, "waiting")

    assert (found.is_ready, found.was_tried) == (True, True)
    assert "waits for event" in str(found.reason)


def test_nothing_is_made_to_be_told_if_there_is_no_observer(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr("tidings.relay.in_flight.Settled.batch", lambda *_: made.append(1))
    parts.append(3)
    with running(parts.route(observers=Observers())) as worker:
        eventually(lambda: parts.position() == 3)
        becomes(worker, "working")

    assert made == []
