"""Positions and leases, on all three databases."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, event, text

from tests.sql.databases import url_of
from tests.sql.waiting import Beside
from tidings.errors import LeaseHeldError, LeaseLostError
from tidings.event import StoredEvent
from tidings.interfaces import Position, TrackedExchange, fingerprint
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker as Tracker
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.sql.event_store import SqlAlchemyEventStore

WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)


def stored(event_id: int) -> StoredEvent:
    return StoredEvent(event_id, "OrderPlaced", "{}", WHEN)


def test_a_position_is_kept_with_what_tells_its_event(tracker: Tracker) -> None:
    assert tracker.most_recent_published_message_id("shop") is None
    lease = tracker.acquire_lease("shop", "a", 15)
    assert (lease.position, lease.fingerprint) == (Position(0, 0), None)
    assert tracker.most_recent_published_message_id("shop") is None
    tracker.track_most_recent_published_message("shop", stored(2**63 - 1), lease)
    assert tracker.most_recent_published_message_id("shop") == 2**63 - 1
    again = tracker.acquire_lease("shop", "a", 15)
    assert again.position == Position(2**63 - 1, 0)
    assert again.fingerprint == fingerprint(stored(1))
    assert again.epoch > lease.epoch


def test_a_lease_says_whose_place_it_takes_if_that_one_had_not_given_it_back(
    tracker: Tracker,
) -> None:
    first = tracker.acquire_lease("shop", "a", 15)
    again = tracker.acquire_lease("shop", "a", 15)
    in_place = tracker.acquire_lease("shop", "b", 0.0, in_place_of=again.epoch)
    after_its_time = tracker.acquire_lease("shop", "c", 15)
    tracker.release_lease(after_its_time)
    given_back = tracker.acquire_lease("shop", "d", 15)

    leases = [first, again, in_place, after_its_time, given_back]
    assert [lease.taken_from for lease in leases] == [None, None, "a", "b", None]


def test_a_lease_names_nobody_if_others_had_it_since_the_look(
    settings: SqlAlchemySettings, tracker: Tracker
) -> None:
    other, looks = Tracker(settings), [1]
    tracker.acquire_lease("shop", "a", 0.0)

    def be_late(*_: object) -> None:
        if looks:  # the transaction in which it looks is over
            looks.clear()
            other.acquire_lease("shop", "b", 0.0)

    event.listen(tracker.database.engine, "checkin", be_late)
    taken = tracker.acquire_lease("shop", "c", 15)
    other.close()

    assert not looks
    assert taken.taken_from is None


def test_exchanges_whose_names_differ_in_case_only_are_two(tracker: Tracker) -> None:
    tracker.track_most_recent_published_message(
        "shop", stored(5), tracker.acquire_lease("shop", "a", 15)
    )
    assert tracker.most_recent_published_message_id("Shop") is None
    tracker.acquire_lease("Shop", "b", 15)
    assert [t.exchange_name for t in tracker.tracked_exchanges()] in (
        ["Shop", "shop"],
        ["shop", "Shop"],
    )


def test_a_lease_is_refused_to_others_while_it_runs(tracker: Tracker) -> None:
    lease = tracker.acquire_lease("shop", "a", 15)
    with pytest.raises(LeaseHeldError) as caught:
        tracker.acquire_lease("shop", "b", 15)
    assert (caught.value.owner, caught.value.epoch) == ("a", lease.epoch)
    assert 10 < caught.value.seconds_left <= 15


def test_an_expired_lease_is_anybodys_and_its_old_holder_moves_nothing(tracker: Tracker) -> None:
    old = tracker.acquire_lease("shop", "a", 0.2)
    taken: list[int] = []

    def taken_over() -> bool:
        try:
            taken.append(tracker.acquire_lease("shop", "b", 15).epoch)
        except LeaseHeldError:
            return False
        return True

    eventually(taken_over, "the lease to expire")
    assert taken[0] > old.epoch
    with pytest.raises(LeaseLostError, match="'shop'"):
        tracker.track_most_recent_published_message("shop", stored(9), old)
    with pytest.raises(LeaseLostError, match="'shop'"):
        tracker.renew_lease(old)
    tracker.release_lease(old)
    assert tracker.tracked_exchanges() == [TrackedExchange("shop", Position(0, 0), "b")]


def test_an_expired_lease_that_nobody_took_still_moves_its_position_and_runs_again(
    tracker: Tracker,
) -> None:
    lease = tracker.acquire_lease("shop", "a", 1)
    eventually(lambda: tracker.tracked_exchanges()[0].owner is None, "the lease to expire")
    tracker.track_most_recent_published_message("shop", stored(3), lease)
    held = TrackedExchange("shop", Position(3, 0), "a", fingerprint=fingerprint(stored(3)))
    assert tracker.tracked_exchanges() == [held]
    eventually(lambda: tracker.tracked_exchanges()[0].owner is None, "the lease to expire")
    tracker.renew_lease(lease)
    assert tracker.tracked_exchanges() == [held]


def test_a_lease_taken_again_by_the_same_owner_outdates_the_first(tracker: Tracker) -> None:
    first = tracker.acquire_lease("shop", "a", 15)
    second = tracker.acquire_lease("shop", "a", 15)
    with pytest.raises(LeaseLostError):
        tracker.track_most_recent_published_message("shop", stored(5), first)
    tracker.release_lease(first)
    tracker.track_most_recent_published_message("shop", stored(6), second)


def test_a_replay_makes_an_epoch_of_its_own(tracker: Tracker) -> None:
    """Else whoever knows the old epoch could take the next holder for the one before it."""
    old = tracker.acquire_lease("shop", "a", 15)
    tracker.replay("shop", 0)
    assert tracker.acquire_lease("shop", "a", 15).epoch == old.epoch + 2


def test_a_dead_holders_lease_is_taken_by_its_epoch_and_no_other(tracker: Tracker) -> None:
    lease = tracker.acquire_lease("shop", "a", 15)
    with pytest.raises(LeaseHeldError):
        tracker.acquire_lease("shop", "b", 15, in_place_of=lease.epoch - 1)
    taken = tracker.acquire_lease("shop", "b", 15, in_place_of=lease.epoch)
    assert taken.epoch > lease.epoch
    with pytest.raises(LeaseHeldError):
        tracker.acquire_lease("shop", "c", 15, in_place_of=lease.epoch)


def test_a_released_lease_is_free_at_once_and_moves_nothing_more(tracker: Tracker) -> None:
    lease = tracker.acquire_lease("shop", "a", 15)
    tracker.release_lease(lease)
    tracker.release_lease(lease)
    with pytest.raises(LeaseLostError):
        tracker.track_most_recent_published_message("shop", stored(1), lease)
    assert tracker.acquire_lease("shop", "b", 15).epoch > lease.epoch


def test_a_replay_begins_a_generation_takes_the_lease_and_leaves_others_alone(
    tracker: Tracker,
) -> None:
    lease = tracker.acquire_lease("shop", "a", 15)
    other = tracker.acquire_lease("other", "a", 15)
    tracker.track_most_recent_published_message("shop", stored(9), lease)
    tracker.replay("shop", 4)
    with pytest.raises(LeaseLostError):
        tracker.track_most_recent_published_message("shop", stored(10), lease)
    again = tracker.acquire_lease("shop", "b", 15)
    assert (again.position.event_id, again.fingerprint) == (4, None)
    tracker.renew_lease(other)
    tracker.replay("unknown", 0)
    assert tracker.acquire_lease("unknown", "b", 15).position.event_id == 0
    with pytest.raises(ValueError, match="-1"):
        tracker.replay("shop", -1)


def test_each_replay_begins_a_generation_that_a_restored_tracker_does_not_begin_again(
    tracker: Tracker, engine: Engine
) -> None:
    generations = []
    for _ in range(3):
        tracker.replay("shop", 0)
        generations.append(tracker.acquire_lease("shop", "a", 15).position.generation)
    replayed_at = int(time.time())
    with engine.begin() as connection:
        connection.execute(text("UPDATE event_published_message_tracker SET generation = 0"))
    eventually(lambda: int(time.time()) > replayed_at + len(generations), "the clock", 60)
    tracker.replay("shop", 0)
    again = tracker.acquire_lease("shop", "a", 15).position.generation

    assert generations == sorted(set(generations))
    assert generations[0] > 0
    assert again not in generations


def test_a_lease_runs_by_the_databases_clock_not_by_ours(tracker: Tracker, engine: Engine) -> None:
    sent: list[object] = []

    def note(_c: object, _cursor: object, _statement: str, parameters: Any, *_rest: object) -> None:
        sent.extend(parameters.values() if isinstance(parameters, dict) else parameters)

    event.listen(tracker.database.engine, "before_cursor_execute", note)
    lease = tracker.acquire_lease("shop", "a", 15)
    tracker.renew_lease(lease)
    assert 15 in sent
    assert not [value for value in sent if isinstance(value, int | float) and value > 1e6]
    clock = {
        "sqlite": "SELECT strftime('%s', 'now')",
        "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
        "mysql": "SELECT UNIX_TIMESTAMP()",
    }[engine.dialect.name]
    with engine.connect() as connection:
        now = float(connection.execute(text(clock)).scalar_one())
        expires = connection.execute(
            text("SELECT lease_expires FROM event_published_message_tracker")
        ).scalar_one()
    assert 10 < expires - now <= 16


def at_once(count: int, work: Callable[[int], None]) -> None:
    """Do the work in several threads that begin together."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> None:
        barrier.wait()
        work(number)

    threads = [Beside(lambda number=number: begin(number)) for number in range(count)]  # type: ignore[misc]  # a lambda in a loop
    for thread in threads:
        thread.result()


@pytest.mark.parametrize("turn", range(3))
def test_of_many_who_take_a_new_exchange_at_once_one_gets_it(
    settings: SqlAlchemySettings, tracker: Tracker, turn: int
) -> None:
    got: list[int] = []
    trackers = [Tracker(settings) for _ in range(8)]

    def take(number: int) -> None:
        try:
            trackers[number].acquire_lease(f"shop{turn}", f"owner {number}", 30)
        except LeaseHeldError:
            return
        got.append(number)

    at_once(8, take)
    for one in trackers:
        one.close()
    assert len(got) == 1
    assert tracker.tracked_exchanges()[0].owner == f"owner {got[0]}"


def test_many_threads_may_use_one_tracker_at_once(tracker: Tracker) -> None:
    def work(number: int) -> None:
        name = f"exchange{number}"
        lease = tracker.acquire_lease(name, "a", 30)
        for event_id in range(1, 21):
            tracker.track_most_recent_published_message(name, stored(event_id), lease)

    at_once(6, work)
    assert [t.position.event_id for t in tracker.tracked_exchanges()] == [20] * 6


def test_a_lease_that_is_given_back_while_it_is_refused_can_be_had(
    postgresql_store: SqlAlchemyEventStore,
) -> None:
    """Elsewhere a statement that was refused keeps the row until its transaction ends."""
    settings = SqlAlchemySettings(url=SecretStr(url_of(postgresql_store)))
    holding, tracker = Tracker(settings), Tracker(settings)
    held = holding.acquire_lease("shop", "a", 15)
    updates = []

    def give_back(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("UPDATE event_published_message_tracker"):
            updates.append(statement)
            if len(updates) == 1:
                holding.release_lease(held)

    event.listen(tracker.database.engine, "after_cursor_execute", give_back)
    try:
        assert tracker.acquire_lease("shop", "b", 15).epoch == held.epoch + 1
    finally:
        holding.close()
        tracker.close()


def test_a_hundred_leases_are_renewed_by_two_statements(tracker: Tracker) -> None:
    leases = [tracker.acquire_lease(f"shop{number}", "a", 15) for number in range(100)]
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement.split(maxsplit=1)[0])

    event.listen(tracker.database.engine, "before_cursor_execute", note)
    assert tracker.renew_leases(leases) == dict.fromkeys(leases, True)
    assert [word for word in statements if word != "BEGIN"] == ["SELECT", "UPDATE"]


def test_more_leases_than_one_statement_takes_are_renewed_each_for_its_own_time(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.sql.lease_renewal.MOST_NAMES", 3)
    leases = [
        tracker.acquire_lease(f"shop{number}", "a", 1 + number % 2 * 3599) for number in range(10)
    ]
    lost = tracker.acquire_lease("shop4", "b", 3600, in_place_of=leases[4].epoch)
    eventually(lambda: len(held(tracker)) == 6, "the short leases to expire")
    answers = tracker.renew_leases(leases)
    assert [answers[lease] for lease in leases] == [number != 4 for number in range(10)]
    assert len(held(tracker)) == 10
    eventually(lambda: len(held(tracker)) == 6, "the short leases to expire again")
    tracker.renew_lease(lost)


def held(tracker: Tracker) -> list[str]:
    return [row.exchange_name for row in tracker.tracked_exchanges() if row.owner is not None]


def test_one_whose_row_is_locked_holds_up_no_other_lease(
    server_store: SqlAlchemyEventStore, server_engine: Engine
) -> None:
    """Somebody replays it, say, and has a million rows of an outbox to unmark."""
    tracker = Tracker(SqlAlchemySettings(url=SecretStr(url_of(server_store))))
    locked, one, lost = (tracker.acquire_lease(name, "a", 15) for name in ("locked", "one", "lost"))
    with server_engine.begin() as connection:
        lock = "SELECT * FROM event_published_message_tracker WHERE type_name IN ('locked', 'lost')"
        tracker.replay("lost", 0)
        connection.execute(text(f"{lock} FOR UPDATE"))
        answers: list[object] = []
        Beside(lambda: answers.append(tracker.renew_leases([locked, one, lost]))).result()
        assert answers == [{one: True, lost: False}]
    assert tracker.renew_leases([locked]) == {locked: True}
    tracker.close()
