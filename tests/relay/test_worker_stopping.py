"""A worker that is told to stop finishes what is in hand, and hangs on nothing."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from tests.relay.parts import Parts, Producer, at, relay_threads, until
from tests.relay.working import running
from tidings import InMemoryBroker
from tidings.relay import worker as worker_module
from tidings.relay.worker import Worker

pytestmark = pytest.mark.usefixtures("impatient")


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
