"""The worker keeps every exchange going, each in its own right."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from tests.relay.parts import REMEMBERS, Parts, Producer, X, at
from tests.relay.working import running
from tidings import BrokerUnavailableError, InMemoryBroker, NewEvent, UndeliverableEventError
from tidings.relay.worker import Worker
from tidings.testing import eventually

pytestmark = pytest.mark.usefixtures("impatient")


def until_published(parts: Parts, count: int) -> None:
    eventually(lambda: parts.ids() == list(range(1, count + 1)))


def test_events_arrive_as_they_are_stored(parts: Parts) -> None:
    with running(parts.route()):
        for count in range(1, 6):
            parts.append()
            until_published(parts, count)
        eventually(lambda: parts.position() == 5)


def test_a_dead_broker_of_one_exchange_delays_no_other(parts: Parts) -> None:
    dead = InMemoryBroker()
    dead.freeze()
    parts.append(3)

    with running(parts.route("dead", producer=Producer(dead, no_progress=60)), parts.route("live")):
        eventually(lambda: parts.ids("live") == [1, 2, 3])
        parts.append()
        eventually(lambda: parts.ids("live") == [1, 2, 3, 4])
        assert parts.position("dead") is None
        dead.thaw()
        eventually(lambda: parts.position("dead") == 4)


def test_a_failure_is_logged_once_told_each_time_and_its_end_too(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    parts.append(3)
    parts.broker.refuse()

    with caplog.at_level(logging.INFO), running(parts.route()):
        eventually(lambda: len(parts.told.of("failed")) >= 4)
        assert parts.told.of("recovered") == []
        parts.broker.admit()
        eventually(lambda: parts.told.of("recovered"))
        eventually(lambda: parts.position() == 3)

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

    def fail(_context: object) -> None:
        attempts.append("one" if len(attempts) % 2 else "other")
        raise BrokerUnavailableError(attempts[-1], exchange_name=X)

    monkeypatch.setattr(parts.producer, "open_exchange", fail)
    with running(parts.route()):
        eventually(lambda: len(attempts) >= 6)

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
            eventually(lambda: "lets nobody connect" in caplog.text)
            parts.broker.admit()
            eventually(lambda: parts.told.of("recovered"))


def test_a_plugins_own_error_is_logged_with_its_traceback_and_tried_again(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    parts.append(3)

    def break_down() -> None:
        raise LookupError("a bug")

    parts.producer.before_send = at(2, break_down)

    with running(parts.route()):
        eventually(lambda: parts.position() == 3)

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
        eventually(lambda: parts.position("other") == 3)
        eventually(lambda: len(parts.told.of("failed")) >= 3)
        assert parts.ids() == [1]
        assert parts.position() == 1
        poison.clear()
        eventually(lambda: parts.position() == 3)

    assert caplog.text.count("Event 2 is too large.") == 1
    assert parts.ids() == [1, 2, 3]


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
        eventually(lambda: parts.told.of("failed"))
        parts.broker.thaw()
        eventually(lambda: parts.position() == 7)

    assert parts.ids() == [1, 2, 3, 4, 5, 6, 7]


def test_a_standby_is_told_and_takes_over_after_a_clean_shutdown(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    told, parts_told = Parts().told, parts.told
    with caplog.at_level(logging.INFO), running(parts.route()) as first:
        eventually(lambda: parts.broker.connections)
        parts.told = told
        second = parts.route(producer=Producer(parts.broker), observers=observers_of(parts))
        with running(second):
            eventually(lambda: told.of("standing_by"))
            holder = parts.owner()
            parts.append(2)
            eventually(lambda: parts.position() == 2)
            first.shut_down()
            eventually(lambda: parts.owner() not in (None, holder))
            parts.append(2)
            eventually(lambda: parts.position() == 4)

    assert told.of("standing_by") == [("standing_by", X, holder)]
    assert told.of("failed") == parts_told.of("failed") == []
    assert caplog.text.count("x: standing by; it is relayed by ") == 1
    assert parts.ids() == [1, 2, 3, 4]


def test_a_replay_of_one_exchange_is_taken_up_while_it_runs(parts: Parts) -> None:
    parts.append(3)
    memory: dict[str, Any] = {"capabilities": REMEMBERS, "lease_seconds": 1.5}
    with running(parts.route(**memory), parts.route("other", **memory)):
        eventually(lambda: parts.position() == parts.position("other") == 3)
        parts.tracker.replay(X, 1)
        eventually(lambda: parts.ids() == [1, 2, 3, 2, 3])
        parts.append()
        eventually(lambda: parts.position() == parts.position("other") == 4)

    assert parts.ids() == [1, 2, 3, 2, 3, 4]
    assert parts.ids("other") == [1, 2, 3, 4]


def test_what_holds_the_relay_is_told_once(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), running(parts.route()):
        with parts.store.transaction() as slow:
            parts.store.append(slow, NewEvent("Slow", {}))
            parts.append(2)
            eventually(lambda: parts.told.of("held"))
            begun = time.monotonic()
            eventually(lambda: time.monotonic() > begun + 0.2)
            assert parts.ids() == []
        eventually(lambda: parts.ids() == [1, 2, 3])

    assert parts.told.of("held") == [("held", X, 1)]
    assert caplog.text.count("x: waiting for event 1, which transaction 1 may still commit") == 1
    assert caplog.text.count("x: no longer waiting for event 1, after ") == 1


def observers_of(parts: Parts) -> Any:
    return parts.route().observers
