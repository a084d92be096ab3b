"""An exchange that somebody has paused: what is in flight is finished, and then nothing is sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.relay.parts import Parts, X
from tests.relay.test_bare_tracker import BareTracker
from tests.relay.working import running
from tidings import ExchangePausedError
from tidings.plugins import IdleRelay, Pause
from tidings.relay import asked as asked_module
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.usefixtures("impatient")

PAUSE = Pause("ada@host", "the warehouse moves", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_module, "LOOK_FOR_A_PAUSE", 0.0)


def looks_for_a_pause(parts: Parts) -> list[str]:
    """Return the exchanges of which is asked from now on whether they are paused."""
    looks: list[str] = []
    paused = parts.tracker.paused

    def noted(exchange_name: str) -> Pause | None:
        looks.append(exchange_name)
        return paused(exchange_name)

    parts.tracker.paused = noted  # type: ignore[method-assign]
    return looks


def idle(parts: Parts) -> Sequence[IdleRelay]:
    (row,) = parts.tracker.tracked_exchanges()
    return row.idle


def state(parts: Parts) -> list[str]:
    return [what for what, *_ in parts.told.calls if what in ("paused", "resumed")]


def test_a_running_relay_finishes_stands_and_goes_on(parts: Parts) -> None:
    parts.append(3)
    with running(parts.route()) as worker:
        eventually(lambda: parts.position() == 3)
        parts.tracker.pause(X, PAUSE)
        eventually(lambda: parts.told.of("paused"))
        (vitals,) = worker.vitals()
        assert (vitals.state, vitals.reason) == ("paused", "by ada@host: the warehouse moves")
        assert vitals.is_ready
        assert parts.owner() is None
        parts.append(2)
        looks = looks_for_a_pause(parts)
        eventually(lambda: len(looks) > 3)
        assert parts.ids() == [1, 2, 3]
        parts.tracker.resume(X)
        eventually(lambda: parts.position() == 5)
        eventually(lambda: worker.vitals()[0].state == "working")
    assert parts.told.of("paused") == [("paused", X, PAUSE)]
    assert state(parts) == ["paused", "resumed"]
    assert parts.ids() == [1, 2, 3, 4, 5]


def test_what_is_in_flight_is_accepted_and_tracked_before_it_stands(parts: Parts) -> None:
    parts.append(7)
    parts.producer.before_send = lambda _: parts.tracker.pause(X, PAUSE)
    with running(parts.route(batch_size=2)):
        eventually(lambda: parts.told.of("paused"))
        assert parts.ids() == [1, 2]
        assert parts.position() == 2


def test_a_relay_that_is_started_sends_nothing_and_names_who_paused_it(parts: Parts) -> None:
    parts.append(1)
    parts.tracker.pause(X, PAUSE)
    with running(parts.route()):
        eventually(lambda: [each.reason for each in idle(parts)] == [None])
        assert parts.told.of("paused")
        assert parts.ids() == []

    with pytest.raises(ExchangePausedError, match=r"paused by ada@host since 2026-01-02 03:04:05 "):
        parts.service().publish_notifications(X)
    parts.tracker.resume(X)
    assert parts.service().publish_notifications(X) == 1


def test_a_replay_of_a_paused_exchange_is_carried_out_when_it_goes_on(parts: Parts) -> None:
    parts.append(2)
    with running(parts.route()):
        eventually(lambda: parts.position() == 2)
        parts.tracker.pause(X, PAUSE)
        eventually(lambda: parts.told.of("paused"))
        parts.tracker.replay(X, 0)
        assert parts.ids() == [1, 2]
        parts.tracker.resume(X)
        eventually(lambda: parts.ids() == [1, 2, 1, 2])


def test_a_failing_exchange_that_is_paused_fails_no_longer(parts: Parts) -> None:
    parts.append(1)
    parts.broker.refuse()
    with running(parts.route()) as worker:
        eventually(lambda: parts.told.of("failed"))
        parts.tracker.pause(X, PAUSE)
        eventually(lambda: parts.told.of("paused"))
        failures = len(parts.told.of("failed"))
        assert worker.vitals()[0].state == "paused"
        parts.broker.admit()
        parts.tracker.resume(X)
        eventually(lambda: parts.position() == 1)
    assert len(parts.told.of("failed")) == failures


def test_a_tracker_that_keeps_no_pauses_is_not_asked(parts: Parts) -> None:
    parts.tracker = BareTracker()
    parts.append(1)
    with running(parts.route()):
        eventually(lambda: parts.told.of("idle"))
    assert parts.ids() == [1]
    assert not parts.told.of("failed")
