"""A worker that is told to shut down finishes what is in hand, and hangs on nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from typing_extensions import override

from tests.relay.parts import Parts, Producer, at, relay_threads
from tests.relay.working import running
from tidings import InMemoryBroker
from tidings.relay import exchange_worker
from tidings.relay import worker as worker_module
from tidings.relay.worker import Worker
from tidings.testing import eventually

pytestmark = pytest.mark.usefixtures("impatient")


def test_a_shutdown_finishes_what_is_in_hand_and_gives_the_lease_back(parts: Parts) -> None:
    parts.append(1000)
    worker = Worker([parts.route(batch_size=600)])

    def shut_down() -> None:
        worker.shut_down()
        assert worker.wait_for_shutdown(60)

    parts.producer.before_send = at(500, shut_down)
    worker.run()

    assert parts.ids() == list(range(1, 601)), "the batch in hand is finished, and no other begun"
    assert parts.position() == 600
    assert parts.owner() is None
    assert relay_threads() == []


def test_a_shutdown_does_not_wait_for_a_broker_that_hangs(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_module, "LAST_JOIN", 2.0)
    parts.append(3)
    parts.producer = Producer(parts.broker, no_progress=60)
    hangs = threading.Event()

    def hang() -> None:
        parts.broker.freeze()
        hangs.set()

    parts.producer.before_send = at(2, hang)
    live = parts.route("live", producer=Producer(InMemoryBroker()))

    with running(parts.route(), live) as worker:
        eventually(lambda: parts.position("live") == 3 and hangs.is_set())
        begun = time.monotonic()
        worker.shut_down()
    assert time.monotonic() - begun < 30
    assert "x did not finish in time" in caplog.text
    assert "live did not finish" not in caplog.text
    parts.broker.thaw()


def test_a_shutdown_while_connecting_hangs_waits_no_longer(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "LAST_JOIN", 0.3)
    parts.producer = Producer(parts.broker, no_progress=60)
    parts.broker.freeze()

    with running(parts.route()):
        eventually(parts.owner)
    parts.broker.thaw()


def test_an_idle_exchange_looks_up_often_enough_to_shut_down_in_time(parts: Parts) -> None:
    with running(parts.route(), poll_seconds=3):
        eventually(lambda: sum(parts.producer.waits) > 2)

    assert max(parts.producer.waits) <= exchange_worker.LONGEST_WAIT


def test_a_shutdown_before_the_start_is_heeded(parts: Parts) -> None:
    worker = Worker([parts.route()])
    worker.shut_down()
    worker.shut_down()

    worker.run()

    assert relay_threads() == []


def test_a_shutdown_from_a_signal_handler_ends_the_thread_that_it_interrupts(parts: Parts) -> None:
    worker = Worker([parts.route()])
    before = signal.signal(signal.SIGALRM, lambda *_: worker.shut_down())
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        worker.run()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert parts.owner() is None


def test_a_signal_handler_never_waits_for_a_lock_of_the_thread_it_interrupts(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()

    class Interrupted(threading.Event):
        """One whose lock is held until the interrupted thread goes on."""

        @override
        def set(self) -> None:
            goes_on.wait()
            super().set()

    patched = SimpleNamespace(Event=Interrupted, Thread=threading.Thread)
    monkeypatch.setattr(worker_module, "threading", patched)
    worker = Worker([parts.route()])
    handler = threading.Thread(target=worker.shut_down, daemon=True)
    handler.start()
    handler.join(5)
    is_waiting = handler.is_alive()
    goes_on.set()
    worker.run()

    assert not is_waiting


HEARD_ELSEWHERE = """
import os, signal, threading
from tests.relay.parts import Parts, X
from tidings.relay.worker import Worker
from tidings.testing import eventually

parts = Parts()
worker = Worker([parts.route()])
signal.signal(signal.SIGTERM, lambda *_: worker.shut_down())
threading.Thread(target=threading.Event().wait, daemon=True).start()  # the one that gets it
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

def terminate():
    eventually(lambda: parts.owner(X) is not None)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=terminate).start()
worker.run()
assert parts.owner(X) is None
"""


def test_a_signal_that_does_not_end_the_wait_shuts_it_down_all_the_same() -> None:
    """As one that comes just before the main thread waits."""
    done = subprocess.run([sys.executable, "-c", HEARD_ELSEWHERE], timeout=60, check=False)
    assert done.returncode == 0
