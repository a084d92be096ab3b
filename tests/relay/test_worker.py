"""The worker keeps every exchange going, each in its own right, and stops when it is told to."""

from __future__ import annotations

import logging
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.relay.parts import REMEMBERS, Parts, Producer, X, at, relay_threads, until
from tidings import BrokerUnavailableError, InMemoryBroker, NewEvent, UndeliverableEventError
from tidings.relay import worker as worker_module
from tidings.relay.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.relay.route import Route


@contextmanager
def running(*routes: Route, **options: Any) -> Iterator[Worker]:
    """Run a worker, and stop it."""
    worker = Worker(routes, **{"poll_seconds": 0.02, **options})
    thread = threading.Thread(target=worker.run, name="worker")
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "STANDBY_PAUSE", 0.05)
    monkeypatch.setattr("tidings.relay.retry.LONGEST_PASSING", 0.05)
    monkeypatch.setattr("tidings.relay.retry.LONGEST_LASTING", 0.05)


def until_published(parts: Parts, count: int) -> None:
    until(lambda: parts.ids() == list(range(1, count + 1)))


def test_events_arrive_as_they_are_stored(parts: Parts) -> None:
    with running(parts.route()):
        for count in range(1, 6):
            parts.append()
            until_published(parts, count)
        until(lambda: parts.position() == 5)


def test_a_dead_broker_of_one_exchange_delays_no_other(parts: Parts) -> None:
    dead = InMemoryBroker()
    dead.freeze()
    parts.append(3)

    with running(parts.route("dead", producer=Producer(dead, no_progress=60)), parts.route("live")):
        until(lambda: parts.ids("live") == [1, 2, 3])
        parts.append()
        until(lambda: parts.ids("live") == [1, 2, 3, 4])
        assert parts.position("dead") is None
        dead.thaw()
        until(lambda: parts.position("dead") == 4)


def test_a_failure_is_logged_once_told_each_time_and_its_end_too(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    parts.append(3)
    parts.broker.refuse()

    with caplog.at_level(logging.INFO), running(parts.route()):
        until(lambda: len(parts.told.of("failed")) >= 4)
        assert parts.told.of("recovered") == []
        parts.broker.admit()
        until(lambda: parts.told.of("recovered"))
        until(lambda: parts.position() == 3)

    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == [
        (
            "x: The in-memory broker lets nobody connect to exchange 'x'; call admit(). "
            "Trying again until it works."
        )
    ]
    _, _, error, retry_in = parts.told.of("failed")[0]
    assert isinstance(error, BrokerUnavailableError)
    assert retry_in > 0
    assert len(parts.told.of("recovered")) == 1
    assert caplog.text.count("x: works again after ") == 1
    assert parts.ids() == [1, 2, 3]


def test_two_failures_in_turns_are_each_logged_once(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[str] = []

    def fail(_exchange: str, _position: object) -> None:
        attempts.append("one" if len(attempts) % 2 else "other")
        raise BrokerUnavailableError(attempts[-1], exchange_name=X)

    monkeypatch.setattr(parts.producer, "open", fail)
    with running(parts.route()):
        until(lambda: len(attempts) >= 6)

    assert sorted(record.getMessage()[:6] for record in caplog.records) == ["x: one", "x: oth"]


def test_the_same_failure_after_a_recovery_is_news(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    with running(parts.route()):
        for _ in range(2):
            caplog.clear()
            parts.told.calls.clear()
            parts.broker.refuse()
            parts.broker.cut()
            until(lambda: "lets nobody connect" in caplog.text)
            parts.broker.admit()
            until(lambda: parts.told.of("recovered"))


def test_a_plugins_own_error_is_logged_with_its_traceback_and_tried_again(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    parts.append(3)

    def break_down() -> None:
        raise LookupError("a bug")

    parts.producer.before_send = at(2, break_down)

    with running(parts.route()):
        until(lambda: parts.position() == 3)

    assert "x: LookupError: a bug Trying again until it works." in caplog.text
    assert "Traceback" in caplog.text
    assert parts.ids() == [1, 2, 3]


def test_poison_stops_its_exchange_alone_and_is_tried_again(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    parts.append(3)
    poison = [UndeliverableEventError("Event 2 is too large.", exchange_name=X, event_id=2)]
    picky = Producer(parts.broker)

    def refuse(event_id: int) -> None:
        if event_id == 2 and poison:
            raise poison[0]

    picky.before_send = refuse
    with running(parts.route(producer=picky), parts.route("other")):
        until(lambda: parts.position("other") == 3)
        until(lambda: len(parts.told.of("failed")) >= 3)
        assert parts.ids() == [1]
        assert parts.position() == 1
        poison.clear()
        until(lambda: parts.position() == 3)

    assert caplog.text.count("Event 2 is too large.") == 1
    assert parts.ids() == [1, 2, 3]


def test_a_stop_finishes_what_is_in_hand_and_gives_the_lease_back(parts: Parts) -> None:
    parts.append(1000)
    worker = Worker([parts.route(batch_size=600)])

    def stop() -> None:
        worker.stop()
        until(worker._stopping.is_set)

    parts.producer.before_send = at(500, stop)
    worker.run()

    assert parts.ids() == list(range(1, 601)), "the batch in hand is finished, and no other begun"
    assert parts.position() == 600
    assert parts.owner() is None
    assert relay_threads() == []


def test_a_stop_does_not_wait_for_a_broker_that_hangs(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_module, "LAST_JOIN", 0.3)
    parts.append(3)
    parts.producer = Producer(parts.broker, no_progress=60)
    parts.producer.before_send = at(2, parts.broker.freeze)
    live = parts.route("live", producer=Producer(InMemoryBroker()))

    with running(parts.route(), live) as worker:
        until(lambda: parts.position("live") == 3)
        begun = time.monotonic()
        worker.stop()
    assert time.monotonic() - begun < 5
    assert "x did not finish in time" in caplog.text
    assert "live did not finish" not in caplog.text
    parts.broker.thaw()


def test_a_stop_while_connecting_hangs_waits_no_longer(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LAST_JOIN", 0.3)
    parts.producer = Producer(parts.broker, no_progress=60)
    parts.broker.freeze()

    with running(parts.route()):
        until(parts.owner)
    parts.broker.thaw()


def test_an_idle_exchange_looks_up_often_enough_to_stop_in_time(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    wait = parts.producer.wait

    def note(exchange: str, seconds: float) -> None:
        waits.append(seconds)
        wait(exchange, seconds)

    monkeypatch.setattr(parts.producer, "wait", note)
    with running(parts.route(), poll_seconds=3):
        until(lambda: sum(waits) > 2)

    assert max(waits) <= worker_module.LONGEST_WAIT


def test_a_stop_before_the_start_is_heeded(parts: Parts) -> None:
    worker = Worker([parts.route()])
    worker.stop()
    worker.stop()

    worker.run()

    assert relay_threads() == []


def test_a_stop_from_a_signal_handler_ends_the_thread_that_it_interrupts(parts: Parts) -> None:
    worker = Worker([parts.route()])
    before = signal.signal(signal.SIGALRM, lambda *_: worker.stop())
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        worker.run()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert parts.owner() is None


def test_a_signal_handler_never_waits_for_a_lock_of_the_thread_it_interrupts(parts: Parts) -> None:
    worker = Worker([parts.route()])
    stopper = threading.Thread(target=worker.stop, daemon=True)

    with worker._stopping._cond:  # type: ignore[attr-defined]  # as if interrupted within it
        stopper.start()
        stopper.join(5)
        assert not stopper.is_alive()


def test_with_a_limit_each_exchange_ends_by_itself(parts: Parts) -> None:
    parts.append(10)

    Worker([parts.route("a", batch_size=3), parts.route("b")], limit=7).run()

    assert parts.ids("a") == parts.ids("b") == [1, 2, 3, 4, 5, 6, 7]
    assert parts.position("a") == parts.position("b") == 7


def test_the_limit_counts_only_what_was_accepted(parts: Parts) -> None:
    parts.append(10)
    parts.producer = Producer(parts.broker, no_progress=0.05)
    parts.producer.before_send = at(4, parts.broker.freeze)

    with running(parts.route(), limit=7):
        until(lambda: parts.told.of("failed"))
        parts.broker.thaw()
        until(lambda: parts.position() == 7)

    assert parts.ids() == [1, 2, 3, 4, 5, 6, 7]


def test_a_standby_is_told_and_takes_over_after_a_clean_stop(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    told, parts_told = Parts().told, parts.told
    with caplog.at_level(logging.INFO), running(parts.route()) as first:
        until(lambda: parts.broker.connections)
        parts.told = told
        second = parts.route(producer=Producer(parts.broker), observers=observers_of(parts))
        with running(second):
            until(lambda: told.of("standing_by"))
            holder = parts.owner()
            parts.append(2)
            until(lambda: parts.position() == 2)
            first.stop()
            until(lambda: parts.owner() not in (None, holder))
            parts.append(2)
            until(lambda: parts.position() == 4)

    assert told.of("standing_by") == [("standing_by", X, holder)]
    assert told.of("failed") == parts_told.of("failed") == []
    assert caplog.text.count("x: standing by; it is relayed by host=") == 1
    assert parts.ids() == [1, 2, 3, 4]


def test_a_replay_of_one_exchange_is_taken_up_while_it_runs(parts: Parts) -> None:
    parts.append(3)
    memory: dict[str, Any] = {"capabilities": REMEMBERS, "lease_seconds": 1.5}
    with running(parts.route(**memory), parts.route("other", **memory)):
        until(lambda: parts.position() == parts.position("other") == 3)
        parts.tracker.replay(X, 1)
        until(lambda: parts.ids() == [1, 2, 3, 2, 3])
        parts.append()
        until(lambda: parts.position() == parts.position("other") == 4)

    assert parts.ids() == [1, 2, 3, 2, 3, 4]
    assert parts.ids("other") == [1, 2, 3, 4]


def test_what_holds_the_relay_is_told_once(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), running(parts.route()):
        with parts.store.transaction() as slow:
            parts.store.append(slow, NewEvent("Slow", {}))
            parts.append(2)
            until(lambda: parts.told.of("held"))
            begun = time.monotonic()
            until(lambda: time.monotonic() > begun + 0.2)
            assert parts.ids() == []
        until(lambda: parts.ids() == [1, 2, 3])

    assert parts.told.of("held") == [("held", X, 1)]
    assert "x: waiting for event 1, which transaction 1 may still commit" in caplog.text


def observers_of(parts: Parts) -> Any:
    return parts.route().observers
