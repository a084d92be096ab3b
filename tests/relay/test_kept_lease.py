"""A lease is renewed while it is used, and known to be lost when it may be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from tests.relay.parts import Parts, X, relay_threads
from tidings import LeaseHeldError, LeaseLostError, NewEvent, StoreUnavailableError
from tidings.relay.batch import MOST_EVENTS
from tidings.relay.kept_lease import KeptLease, now
from tidings.sql import SqlAlchemyEventStore, SqlAlchemySettings, SqlAlchemyTracker
from tidings.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tidings import Lease, PublishedMessageTracker


def kept(parts: Parts, seconds: float) -> KeptLease:
    asked = now()
    return KeptLease(parts.tracker, parts.tracker.acquire_lease(X, "me", seconds), asked)


def test_a_lease_outlives_its_time_while_it_is_kept(parts: Parts) -> None:
    begun = now()
    with kept(parts, 1.5) as lease:
        eventually(lambda: now() > begun + 2)
        lease.check()
        assert not taken_by_another(parts.tracker)
    eventually(lambda: taken_by_another(parts.tracker))


def test_its_thread_ends_with_it_at_once(parts: Parts) -> None:
    with kept(parts, 3600):
        assert relay_threads() == ["tidings-lease-x"]
    assert relay_threads() == []


def test_a_lease_that_was_taken_is_noticed_at_the_next_renewal(parts: Parts) -> None:
    with kept(parts, 0.3) as lease:
        parts.tracker.replay(X, 0)
        eventually(lambda: raises(lease))
        eventually(lambda: not relay_threads())


def test_a_lease_that_cannot_be_renewed_lapses(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_lease: Lease) -> None:
        raise StoreUnavailableError("The database is gone.")

    monkeypatch.setattr(parts.tracker, "renew_lease", fail)
    with kept(parts, 0.3) as lease:
        lease.check()
        eventually(lambda: raises(lease))


@pytest.mark.parametrize("error", [StoreUnavailableError("gone"), RuntimeError("a tracker's bug")])
def test_a_renewal_that_fails_is_tried_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    renew, failures = parts.tracker.renew_lease, [error]

    def fail_once(lease: Lease) -> None:
        if failures:
            raise failures.pop()
        renew(lease)

    monkeypatch.setattr(parts.tracker, "renew_lease", fail_once)
    begun = now()
    with kept(parts, 1.5) as lease:
        eventually(lambda: now() > begun + 2)
        lease.check()


def test_a_renewal_that_was_asked_for_earlier_takes_nothing_away(parts: Parts) -> None:
    asked = now()
    lease = kept(parts, 0.3)
    lease.renewed(asked + 3600)
    lease.renewed(asked)

    eventually(lambda: now() > asked + 0.4)
    lease.check()


def test_a_hanging_renewal_does_not_hold_up_the_end_for_long(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.relay.kept_lease._LONGEST_JOIN", 0.1)
    hanging, go_on = threading.Event(), threading.Event()

    def hang(_lease: Lease) -> None:
        hanging.set()
        go_on.wait(30)

    monkeypatch.setattr(parts.tracker, "renew_lease", hang)
    with kept(parts, 0.03):
        assert hanging.wait(10)
        begun = now()
    assert now() - begun < 5
    go_on.set()


def raises(lease: KeptLease) -> bool:
    try:
        lease.check()
    except LeaseLostError:
        return True
    return False


def taken_by_another(tracker: PublishedMessageTracker) -> bool:
    try:
        tracker.acquire_lease(X, "another", 3600)
    except LeaseHeldError:
        return False
    return True


PAUSED = """
import os, signal, sys
from pydantic import SecretStr
from tests.relay.parts import Producer
from tidings import InMemoryBroker, LeaseLostError, NotificationService, Route
from tidings.builtin.json_serializer import JsonSerializer
from tidings.sql import SqlAlchemyEventStore, SqlAlchemyTracker, SqlAlchemySettings

settings = SqlAlchemySettings(url=SecretStr(sys.argv[1]))
producer = Producer(broker := InMemoryBroker())

def pause_before_the_sixth(event_id):
    if event_id == 6:
        os.kill(os.getpid(), signal.SIGSTOP)

producer.before_send = pause_before_the_sixth
service = NotificationService(Route(
    "x", SqlAlchemyEventStore(settings), SqlAlchemyTracker(settings), producer,
    JsonSerializer(), lease_seconds=1.5,
))
try:
    service.publish_notifications("x")
except LeaseLostError as error:
    print(error)
print([int(message.message_id) for message in broker.messages("x")])
"""


def test_a_process_paused_longer_than_its_lease_sends_no_other_batch(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    settings = SqlAlchemySettings(url=SecretStr(url))
    store, tracker = SqlAlchemyEventStore(settings), SqlAlchemyTracker(settings)
    store.create()
    with store.transaction() as connection:
        store.append(connection, *(NewEvent("A", {}) for _ in range(2 * MOST_EVENTS)))

    with subprocess.Popen(
        [sys.executable, "-c", PAUSED, url], stdout=subprocess.PIPE, text=True
    ) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert not taken_by_another(tracker), "the pause alone does not end the lease"
        eventually(lambda: taken_by_another(tracker))
        process.send_signal(signal.SIGCONT)
        said, _ = process.communicate(timeout=30)

    assert said.splitlines()[0].startswith("Another relay has taken exchange 'x' over")
    # What was handed over in one call was on its way when the pause began.
    assert said.splitlines()[1] == str(list(range(1, MOST_EVENTS + 1)))
    assert tracker.most_recent_published_message_id("x") is None
    store.close()
    tracker.close()
