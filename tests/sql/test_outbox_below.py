"""What stays in an outbox below its exchange's position stops nothing, and is named if it waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine
from sqlalchemy import event as sqlalchemy_event

from tests.sql.test_outbox_source import Draining, draining
from tidings.event import NewEvent
from tidings.relay.position_check import Anchor
from tidings.sql.outbox import OutboxMessageDispatcher, source
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidings import Lease

LONG_AGO = datetime(2026, 1, 2, tzinfo=UTC)
"""Far enough from now that databases compare it so, too."""


@pytest.fixture
def removing(database_url: str) -> Iterator[Draining]:
    yield from draining(database_url, "remove")


@pytest.fixture(params=["beside", "apart"])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Draining]:
    """Give an outbox, with the positions in the same database, or in another one."""
    positions = None
    if request.param == "apart":
        url = f"sqlite:///{tmp_path}/positions.db"
        positions = SqlAlchemyTracker(SqlAlchemySettings.model_validate({"url": url}))
        positions.create()
    yield from draining(f"sqlite:///{tmp_path}/outbox.db", "remove", positions)


def dispatch_long_ago(outbox: Draining, name: str) -> None:
    with outbox.engine.begin() as connection:
        event = NewEvent(name, {}, occurred_on=LONG_AGO)
        OutboxMessageDispatcher(connection).dispatch(event)


def put_first_in_quarantine(outbox: Draining) -> Lease:
    """Let the first message be passed, and the relay's next run begin behind it."""
    dispatch_long_ago(outbox, "bad")
    lease = outbox.tracker.acquire_lease("shop", "a", 15)
    (bad,) = outbox.store.all_stored_events_since(0, 10)
    outbox.tracker.quarantine("shop", bad, "too large", lease)
    outbox.tracker.release_lease(lease)
    return outbox.tracker.acquire_lease("shop", "b", 15)


def publish_first_of(outbox: Draining, lease: Lease, *names: str) -> None:
    """Dispatch some, and publish the first of them: others are there already when it is removed."""
    outbox.dispatch(*names)
    first, *_ = outbox.store.all_stored_events_since(lease.position.event_id, 10)
    outbox.tracker.track_most_recent_published_message("shop", first, lease)


def expect_no_mismatch(outbox: Draining) -> None:
    row = outbox.tracker.tracked_exchange("shop")
    assert row is not None
    Anchor(outbox.store, row).check()


def test_what_is_in_quarantine_stops_no_exchange_that_removes_what_was_published(
    removing: Draining,
) -> None:
    lease = put_first_in_quarantine(removing)
    publish_first_of(removing, lease, "b", "c")

    expect_no_mismatch(removing)
    assert removing.waiting() == ["c"]
    assert removing.store.stored_event(1) is not None


def test_nor_does_what_a_replay_has_passed(removing: Draining) -> None:
    dispatch_long_ago(removing, "passed")
    removing.tracker.replay("shop", 1)
    lease = removing.tracker.acquire_lease("shop", "a", 15)
    publish_first_of(removing, lease, "b", "c")

    expect_no_mismatch(removing)
    assert removing.waiting() == ["passed", "c"]


@pytest.mark.parametrize("how", ["sent", "dropped", "in it"])
def test_what_was_in_quarantine_does_not_wait_once_it_left_or_the_position_has_moved(
    outbox: Draining, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    lease = put_first_in_quarantine(outbox)
    if how == "sent":
        outbox.tracker.note_retry(1, None, lease)
    elif how == "dropped":
        assert outbox.tracker.drop_quarantined("shop", 1)
    else:
        publish_first_of(outbox, lease, "b")
    outbox.tracker.release_lease(lease)
    outbox.tracker.acquire_lease("shop", "c", 15)

    assert outbox.waiting() == []
    assert caplog.messages == []


def test_what_is_refused_again_stays_in_quarantine_and_in_the_outbox(outbox: Draining) -> None:
    lease = put_first_in_quarantine(outbox)
    outbox.tracker.note_retry(1, "still too large", lease)
    publish_first_of(outbox, lease, "b", "c")

    (event,) = outbox.tracker.quarantined_events("shop")
    assert event.reason == "still too large"
    assert outbox.store.stored_event(1) is not None


def test_however_much_is_in_quarantine_no_statement_names_all_of_it(
    outbox: Draining, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def count(
        _connection: object, _cursor: object, _statement: str, given: Any, *_: object
    ) -> None:
        most.append(len(given))

    most: list[int] = []
    monkeypatch.setattr(source, "MOST_IDS", 4)
    outbox.dispatch(*(f"{number}" for number in range(1, 31)))
    lease = outbox.tracker.acquire_lease("shop", "a", 15)
    for event in outbox.store.all_stored_events_since(0, 29):
        outbox.tracker.quarantine("shop", event, "too large", lease)
    sqlalchemy_event.listen(Engine, "before_cursor_execute", count)
    try:
        lease = outbox.tracker.acquire_lease("shop", "a", 15)
        (last,) = outbox.store.all_stored_events_since(lease.position.event_id, 10)
        outbox.tracker.track_most_recent_published_message("shop", last, lease)
        publish_first_of(outbox, outbox.tracker.acquire_lease("shop", "a", 15), "31")
    finally:
        sqlalchemy_event.remove(Engine, "before_cursor_execute", count)

    assert outbox.waiting() == []
    assert outbox.rows() == 30  # those in quarantine, and the one at the position
    assert max(most) < 29
    assert caplog.messages == []
