"""Events that follow from their id, and what stands in for the event store."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tidings.plugins import (
    Notification,
    NotificationMessage,
    ProducerContext,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EXCHANGE = "my-bc-app"
START = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def event(event_id: int, body: bytes | None = None) -> Notification:
    """Return the event of that id."""
    message = NotificationMessage(
        b'{"number":%d}' % event_id if body is None else body,
        "application/json",
        {"aggregate_id": f"order-{event_id % 7}"},
    )
    when = START + timedelta(microseconds=event_id % 10**12)
    return Notification(message, "OrderPlaced", event_id, when)


class Store:
    """An event store with events of given ids. Counts how it was read."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self.ids = list(ids)
        self.reads = 0
        self.most_read = 0
        self.away = False

    def since(self, exchange_name: str, event_id: int, limit: int) -> Sequence[Notification]:
        self.reads += 1
        if self.away:
            raise StoreUnavailableError("the database is away")
        start = bisect_right(self.ids, event_id)
        found = [event(each) for each in self.ids[start : start + limit]]
        self.most_read = max(self.most_read, len(found))
        return found

    @property
    def context(self) -> ProducerContext:
        return ProducerContext(
            self.since, oldest_event_id=lambda _exchange_name: min(self.ids, default=None)
        )
