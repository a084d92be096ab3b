"""A relay that failed says so until the one that took the exchange over is seen to work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.parts import Parts, X
from tests.relay.working import running
from tidings.errors import LeaseHeldError
from tidings.operations.state import state_of
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidings import Lease
    from tidings.interfaces import TrackedExchange
    from tidings.operations.state import State

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def asked(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Believe another relay at once, and count how often the tracker was asked for all it knows."""
    monkeypatch.setattr("tidings.relay.elsewhere.WORKS_AFTER", 0.0)
    monkeypatch.setattr("tidings.relay.trouble.NOTE_AGAIN", 0.0)
    calls: list[int] = []
    tracked = parts.tracker.tracked_exchanges

    def counted() -> Sequence[TrackedExchange]:
        calls.append(len(calls))
        return tracked()

    monkeypatch.setattr(parts.tracker, "tracked_exchanges", counted)
    return calls


@pytest.fixture
def other(parts: Parts, asked: list[int]) -> Iterator[Lease]:
    """Let a relay fail, and another one, which has not failed yet, take the exchange."""
    parts.broker.refuse()
    with running(parts.route()):
        eventually(lambda: parts.told.of("failed"))
        yield taken_by_another(parts)


def taken_by_another(parts: Parts) -> Lease:
    taken: list[Lease] = []

    def take() -> bool:
        try:
            taken.append(parts.tracker.acquire_lease(X, "another", 60.0))
        except LeaseHeldError:
            return False
        return True

    eventually(take)
    return taken[0]


def state(parts: Parts) -> State:
    rows = {row.exchange_name: row for row in parts.tracker.tracked_exchanges()}
    return state_of(parts.store, rows[X], None)


def noted(parts: Parts) -> Sequence[str | None]:
    return [relay.reason for row in parts.tracker.tracked_exchanges() for relay in row.idle]


@pytest.fixture
def waiting(parts: Parts) -> None:
    parts.append(2)


@pytest.mark.usefixtures("waiting", "other")
def test_another_one_that_has_sent_nothing_is_not_believed_to_work(
    parts: Parts, asked: list[int]
) -> None:
    eventually(lambda: state(parts).since)  # it is noted after the observers were told
    since = state(parts).since

    eventually(lambda: len(asked) > 10)  # the relay looks each time that it finds the lease held

    assert state(parts).word == "failing"
    assert state(parts).relay == "another"
    assert state(parts).since == since
    assert not parts.told.of("standing_by")


@pytest.mark.usefixtures("waiting", "other")
def test_why_it_cannot_is_noted_again_before_the_note_runs_out(
    parts: Parts, asked: list[int]
) -> None:
    eventually(lambda: len(asked) > 2)  # it stands by now
    (reason,) = noted(parts)
    parts.tracker.forget_idle(X, parts.tracker.tracked_exchanges()[0].idle[0].owner)

    eventually(lambda: noted(parts) == [reason])


@pytest.mark.usefixtures("waiting")
def test_another_one_that_moves_the_position_works(
    parts: Parts, asked: list[int], other: Lease
) -> None:
    eventually(lambda: len(asked) > 10)

    parts.tracker.track_most_recent_published_message(X, parts.store.stored_event(1), other)  # type: ignore[arg-type]

    eventually(lambda: parts.told.of("standing_by"))
    eventually(lambda: state(parts).word == "working")
    assert len(state(parts).standbys) == 1


@pytest.mark.usefixtures("other")
def test_another_one_with_nothing_to_send_is_believed_after_a_while(parts: Parts) -> None:
    assert state(parts).word == "working"
    eventually(lambda: parts.told.of("standing_by"))


@pytest.mark.usefixtures("waiting")
def test_whoever_works_takes_away_why_the_others_could_not(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.relay.backoff.LONGEST_TRANSIENT", 60.0)
    monkeypatch.setattr("tidings.relay.backoff.FIRST_TRANSIENT", 60.0)  # it sleeps meanwhile
    parts.broker.refuse()
    with running(parts.route()):
        eventually(lambda: noted(parts))
        parts.broker.admit()

        with running(parts.route()):
            eventually(lambda: parts.position() == 2)
            eventually(lambda: state(parts).word == "working")
            assert not noted(parts)
