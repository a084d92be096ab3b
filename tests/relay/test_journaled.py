"""What a relay notes in the journal, and that it never waits for it."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.relay.parts import Parts, X, at
from tests.relay.test_bare_tracker import BareTracker
from tests.relay.working import running
from tidings import InMemoryTracker, StoreUnavailableError, UndeliverableEventError
from tidings.plugins import JournalEntry, Lease, Pause, Position
from tidings.relay import asked as asked_module
from tidings.relay import journal_writer as writer_module
from tidings.relay import journaled as journaled_module
from tidings.relay.journal_writer import JournalBounds, JournalWriter
from tidings.relay.journaled import Repeats
from tidings.relay.owner import Owner
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.usefixtures("impatient")

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Faulty(InMemoryTracker):
    """Writes no entry before it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error
        self.may_write = threading.Event()
        self.asked = threading.Event()

    @override
    def write_journal(
        self, entries: Sequence[JournalEntry], *, most: int, longest: timedelta
    ) -> None:
        self.asked.set()
        if not self.may_write.is_set():
            if self.error is not None:
                raise self.error
            self.may_write.wait(60)
        super().write_journal(entries, most=most, longest=longest)


def words(parts: Parts) -> list[str]:
    return [entry.what for entry in parts.tracker.journal()]


def details(parts: Parts, what: str) -> list[str | None]:
    return [entry.detail for entry in parts.tracker.journal(X) if entry.what == what]


def test_a_days_work_is_a_handful_of_entries(parts: Parts) -> None:
    parts.append(300)
    with running(parts.route(batch_size=10)) as worker:
        eventually(lambda: parts.position() == 300)
        owner = parts.owner()
        eventually(lambda: worker.vitals()[0].state == "working")
    assert words(parts) == ["started", "lease taken", "ended"]
    assert {entry.who for entry in parts.tracker.journal()} == {owner}


def test_a_failure_is_noted_once_however_often_it_is_tried_and_its_end_too(parts: Parts) -> None:
    parts.append(1)
    parts.broker.refuse()
    with running(parts.route()):
        eventually(lambda: len(parts.told.of("failed")) > 5)
        parts.broker.admit()
        eventually(lambda: parts.told.of("recovered"))
    assert words(parts) == ["started", "lease taken", "failed", "works again", "ended"]
    (failure,) = details(parts, "failed")
    assert failure == str(parts.told.of("failed")[0][2])


def test_what_reaches_nobody_is_noted_once_however_often_it_comes(parts: Parts) -> None:
    parts.producer.unroutable = range(1, 50)
    parts.append(50)
    with running(parts.route(batch_size=10)):
        eventually(lambda: parts.position() == 50)
    assert details(parts, "unroutable") == ["10 event(s) reached nobody"]


def test_who_had_the_lease_what_is_poison_and_who_paused_it_are_named(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked_module, "LOOK_FOR_A_PAUSE", 0.0)
    parts.append(2)
    parts.tracker.acquire_lease(X, "host=web1 relay=1 pid=42 started=1 machine=2", 0.01)
    poison = UndeliverableEventError("Event 2 is too large.", exchange_name=X, event_id=2)

    def refuse() -> None:
        raise poison

    parts.producer.before_send = at(2, refuse)
    with running(parts.route(passes_poison=True)):
        eventually(lambda: parts.position() == 2)
        parts.tracker.pause(X, Pause("ada@host", None, WHEN))
        eventually(lambda: "stands paused" in words(parts))
        parts.tracker.resume(X)
        eventually(lambda: "goes on" in words(parts))
    assert details(parts, "lease taken")[0] == "from web1:42, who had not given it back"
    assert details(parts, "quarantined") == ["event 2: Event 2 is too large."]
    assert details(parts, "stands paused") == ["by ada@host"]


def test_an_event_that_stops_the_exchange_is_noted_as_that(parts: Parts) -> None:
    parts.append(1)
    poison = UndeliverableEventError("Event 1 is too large.", exchange_name=X, event_id=1)

    def refuse(_event_id: int) -> None:
        raise poison

    parts.producer.before_send = refuse
    with running(parts.route()):
        eventually(lambda: len(parts.told.of("failed")) > 3)
    assert words(parts) == ["started", "lease taken", "stopped", "ended"]


def test_a_journal_that_hangs_keeps_no_event_and_no_shutdown_waiting(parts: Parts) -> None:
    tracker = Faulty()
    parts.tracker = tracker
    parts.append(5)
    with running(parts.route()):
        eventually(lambda: parts.position() == 5)
        assert tracker.asked.wait(60)
        parts.append(5)
        eventually(lambda: parts.position() == 10)
    assert list(tracker.journal()) == []
    tracker.may_write.set()
    eventually(lambda: words(parts) == ["started", "lease taken", "ended"])


def test_what_could_not_be_written_is_written_when_it_can_be(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer_module, "TRY_AGAIN", 0.02)
    tracker = Faulty(StoreUnavailableError("The database is away."))
    parts.tracker = tracker
    parts.append(5)
    with caplog.at_level(logging.WARNING, "tidings"), running(parts.route()):
        eventually(lambda: parts.position() == 5)
        assert tracker.asked.wait(60)
        tracker.asked.clear()
        assert tracker.asked.wait(60)
        tracker.may_write.set()
        eventually(lambda: words(parts) == ["started", "lease taken"])
        assert not parts.told.of("failed")
    told = [record.getMessage() for record in caplog.records]
    assert told == ["The journal cannot be written; deliveries go on. The database is away."]


def test_no_more_than_a_thousand_entries_wait_and_the_newest_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer_module, "TRY_AGAIN", 0.02)
    tracker = Faulty(RuntimeError("a fault of the tracker's"))
    writer = JournalWriter()
    for number in range(1500):
        writer.note(tracker, JournalBounds(), entry(str(number)))
    eventually(lambda: writer.failure)
    tracker.may_write.set()
    assert writer.close(60)
    kept = [each.what for each in tracker.journal(limit=2000)]
    assert kept == [str(number) for number in range(500, 1500)]


def test_a_tracker_without_a_journal_is_given_nothing_and_none_is_kept_if_so_configured(
    parts: Parts,
) -> None:
    parts.append(1)
    none = replace(parts.route(), journal=JournalBounds(most=0))
    with running(none):
        eventually(lambda: parts.position() == 1)
    assert words(parts) == []
    parts.tracker = BareTracker()
    with running(parts.route()):
        eventually(lambda: parts.position() == 1)
    assert not parts.told.of("failed")


def test_what_happens_again_and_again_is_counted_and_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("tidings.relay.journaled.time.monotonic", lambda: now[0])
    repeats = Repeats()
    said = [repeats.left_out("failed", f"port {n}a broke", 2) for n in range(5)]
    assert said == [0, 0, None, None, None]
    assert repeats.left_out("failed", "another sentence", 2) == 0
    assert repeats.left_out("held", "port 1a broke", 2) == 0
    now[0] += 3601
    assert repeats.left_out("failed", "port 6a broke", 2) == 3
    assert repeats.left_out("failed", "port 7a broke", 2) == 0


def test_a_lease_that_is_lost_and_taken_again_is_two_entries(parts: Parts) -> None:
    route = parts.route()
    writer = JournalWriter()
    noted = journaled_module.Journaled(route, Owner(), writer)
    lease = Lease(X, "a", 1, 15, Position(), None)
    for _ in range(2):
        noted.lease_taken(X, lease)
        noted.lease_released(X)
    noted.lease_lost(X)
    noted.lease_taken(X, lease)
    assert writer.close(60)
    assert words(parts) == ["lease taken", "lease lost", "lease taken"]


def entry(what: str) -> JournalEntry:
    return JournalEntry(X, what, "somebody", None, datetime.now(UTC))
