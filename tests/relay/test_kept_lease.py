"""A lease is renewed while it is used, and known to be lost when it may be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
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
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tidings import Lease, PublishedMessageTracker


def kept(parts: Parts, seconds: float, name: str = X) -> KeptLease:
    asked = now()
    return KeptLease(parts.tracker, parts.tracker.acquire_lease(name, f"of {name}", seconds), asked)


def test_a_lease_outlives_its_time_while_it_is_kept(parts: Parts) -> None:
    begun = now()
    with kept(parts, 1.5) as lease:
        eventually(lambda: now() > begun + 2)
        lease.check()
        assert not taken_by_another(parts.tracker)
    eventually(lambda: taken_by_another(parts.tracker))


def test_its_thread_ends_with_it_at_once(parts: Parts) -> None:
    with kept(parts, 3600):
        assert relay_threads() == ["tidings-leases"]
    assert relay_threads() == []


def test_a_lease_that_was_taken_is_noticed_at_the_next_renewal(parts: Parts) -> None:
    with kept(parts, 0.3) as lease:
        parts.tracker.replay(X, 0)
        eventually(lambda: raises(lease))


def test_one_thread_renews_all_leases_of_a_tracker_in_one_call(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = renewals(parts, monkeypatch)
    names = [f"x{number}" for number in range(20)]
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(kept(parts, 1.5, name))
        assert relay_threads() == ["tidings-leases"]
        eventually(lambda: any(sorted(call) == sorted(names) for call in calls))


def test_leases_that_were_taken_apart_fall_into_step(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = renewals(parts, monkeypatch)
    earlier = now() - 0.6
    lease = KeptLease(parts.tracker, parts.tracker.acquire_lease("earlier", "me", 3), earlier)
    with lease, kept(parts, 3, "later"):
        eventually(lambda: any(len(call) > 1 for call in calls))


def test_a_lost_lease_ends_alone(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    with kept(parts, 0.9, "lost") as lost, kept(parts, 0.9, "other") as other:
        parts.tracker.replay("lost", 0)
        begun = now()
        eventually(lambda: raises(lost))
        calls = renewals(parts, monkeypatch)
        eventually(lambda: now() > begun + 2)
        other.check()
    assert {name for call in calls for name in call} == {"other"}, "the lost one is not asked for"


def test_what_cannot_be_renewed_just_now_is_asked_for_again_soon_and_then_lapses(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, calls = parts.tracker.renew_leases, list[list[str]]()

    def pass_one_by(leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        calls.append([lease.exchange_name for lease in leases])
        return renew([lease for lease in leases if lease.exchange_name != "locked"])

    monkeypatch.setattr(parts.tracker, "renew_leases", pass_one_by)
    with kept(parts, 1.5, "locked") as locked, kept(parts, 1.5, "other") as other:
        eventually(lambda: raises(locked))
        other.check()
        assert sum("locked" in call for call in calls) > sum("other" in call for call in calls)


def test_a_lease_that_was_renewed_as_its_position_moved_is_left_alone(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = renewals(parts, monkeypatch)
    with kept(parts, 0.9, "busy") as busy, kept(parts, 0.9, "idle"):
        busy.renewed(now() + 3600)
        eventually(lambda: len(calls) > 2)
    assert {name for call in calls for name in call} == {"idle"}


def test_a_tracker_that_hangs_holds_up_no_lease_of_another(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging, go_on = threading.Event(), threading.Event()

    def hang(_leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        hanging.set()
        go_on.wait(30)
        return {}

    other = Parts()
    monkeypatch.setattr(parts.tracker, "renew_leases", hang)
    with kept(parts, 0.9), kept(other, 0.9) as lease:
        assert hanging.wait(10)
        begun = now()
        eventually(lambda: now() > begun + 2)
        lease.check()
        go_on.set()


FORKED = """
import os
from tests.relay.parts import X
from tidings import InMemoryTracker
from tidings.relay.kept_lease import KeptLease, now
from tidings.testing import eventually

tracker = InMemoryTracker()
def kept(name):
    asked = now()
    return KeptLease(tracker, tracker.acquire_lease(name, name, 0.9), asked)

with kept("of the parent"):
    if not os.fork():
        renewed = []
        renew = tracker.renew_leases
        tracker.renew_leases = lambda leases: renewed.extend(leases) or renew(leases)
        begun = now()
        with kept("of the child") as lease:
            eventually(lambda: now() > begun + 2)
            lease.check()
        print(sorted({each.exchange_name for each in renewed}))
    else:
        os.wait()
"""


def test_a_child_keeps_its_own_leases_and_not_its_parents() -> None:
    said = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.splitlines() == ["['of the child']"]


def test_a_lease_that_cannot_be_renewed_lapses(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        raise StoreUnavailableError("The database is gone.")

    monkeypatch.setattr(parts.tracker, "renew_leases", fail)
    with kept(parts, 0.3) as lease:
        lease.check()
        eventually(lambda: raises(lease))


@pytest.mark.parametrize("error", [StoreUnavailableError("gone"), RuntimeError("a tracker's bug")])
def test_a_renewal_that_fails_is_tried_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    renew, failures = parts.tracker.renew_leases, [error]

    def fail_once(leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        if failures:
            raise failures.pop()
        return renew(leases)

    monkeypatch.setattr(parts.tracker, "renew_leases", fail_once)
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
    monkeypatch.setattr("tidings.relay.kept_lease.LONGEST_JOIN", 0.1)
    hanging, go_on = threading.Event(), threading.Event()

    def hang(_leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        hanging.set()
        go_on.wait(30)
        return {}

    monkeypatch.setattr(parts.tracker, "renew_leases", hang)
    with kept(parts, 0.03):
        assert hanging.wait(10)
        begun = now()
    assert now() - begun < 5
    go_on.set()


def renewals(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return where the exchanges of each later call are noted."""
    renew, calls = parts.tracker.renew_leases, list[list[str]]()

    def note(leases: Sequence[Lease]) -> Mapping[Lease, bool]:
        calls.append([lease.exchange_name for lease in leases])
        return renew(leases)

    monkeypatch.setattr(parts.tracker, "renew_leases", note)
    return calls


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


FROZEN = """
import os, signal, sys
from pydantic import SecretStr
from tests.relay.parts import Producer
from tidings import InMemoryBroker, LeaseLostError, NotificationService, Route
from tidings.builtin.json_serializer import JsonSerializer
from tidings.sql import SqlAlchemyEventStore, SqlAlchemyTracker, SqlAlchemySettings

settings = SqlAlchemySettings(url=SecretStr(sys.argv[1]))
producer = Producer(broker := InMemoryBroker())

def freeze_before_the_sixth(event_id):
    if event_id == 6:
        os.kill(os.getpid(), signal.SIGSTOP)

producer.before_send = freeze_before_the_sixth
service = NotificationService(Route(
    "x", SqlAlchemyEventStore(settings), SqlAlchemyTracker(settings), producer,
    JsonSerializer(), lease_seconds=5,
))
try:
    service.publish_notifications("x")
except LeaseLostError as error:
    print(error)
print([int(message.message_id) for message in broker.messages("x")])
"""


def test_a_process_frozen_longer_than_its_lease_sends_no_other_batch(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    settings = SqlAlchemySettings(url=SecretStr(url))
    store, tracker = SqlAlchemyEventStore(settings), SqlAlchemyTracker(settings)
    store.create()
    with store.transaction() as connection:
        store.append(connection, *(NewEvent("A", {}) for _ in range(2 * MOST_EVENTS)))

    with subprocess.Popen(
        [sys.executable, "-c", FROZEN, url], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            assert not taken_by_another(tracker), "the freeze alone does not end the lease"
            eventually(lambda: taken_by_another(tracker))
            process.send_signal(signal.SIGCONT)
            said, _ = process.communicate(timeout=30)
        finally:
            process.kill()  # one that stands still would be waited for, for ever

    assert said.splitlines()[0].startswith("This relay has lost the lease of exchange 'x'")
    # What was handed over in one call was on its way when it was frozen.
    assert said.splitlines()[1] == str(list(range(1, MOST_EVENTS + 1)))
    assert tracker.most_recent_published_message_id("x") is None
    store.close()
    tracker.close()
