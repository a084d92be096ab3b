"""What relays that do not carry an exchange say of themselves, beside the position."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidings.interfaces import IdleRelay
from tidings.sql.tracker import SqlAlchemyTracker
from tidings.testing import eventually

if TYPE_CHECKING:
    from tidings.sql.settings import SqlAlchemySettings

WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_each_relay_says_one_thing_until_it_forgets_it_or_its_time_is_up(
    settings: SqlAlchemySettings,
) -> None:
    tracker = SqlAlchemyTracker(settings)
    tracker.create()
    tracker.acquire_lease("a", "carries", 15)
    tracker.acquire_lease("b", "carries", 15)

    def idle(exchange: str) -> list[IdleRelay]:
        rows = {row.exchange_name: row for row in tracker.tracked_exchanges()}
        return list(rows[exchange].idle)

    fails = IdleRelay("two", WHEN, "the broker is down: größer ✓ " + "x" * 70_000, WHEN)
    tracker.note_idle("a", IdleRelay("one", WHEN), 60)
    tracker.note_idle("a", IdleRelay("two", WHEN), 60)
    tracker.note_idle("a", fails, 60)
    tracker.note_idle("b", IdleRelay("two", WHEN), 0.5)
    assert idle("a") == [IdleRelay("one", WHEN), fails]
    tracker.forget_idle("a", "one")
    tracker.forget_idle("a", "nobody")
    assert idle("a") == [fails]
    eventually(lambda: idle("b") == [], "the end of its time", 60)
    tracker.close()
