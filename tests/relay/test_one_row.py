"""An exchange that asks the tracker about itself does not have it look through all exchanges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.relay.parts import Parts, X
from tests.relay.working import running
from tidings import InMemoryTracker
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.plugins import TrackedExchange

pytestmark = pytest.mark.usefixtures("impatient")


class OneByOne(InMemoryTracker):
    """Notes which exchanges it was asked about, and how often about all."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_about: list[str] = []
        self.asked_about_all = 0

    @override
    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        self.asked_about_all += 1
        return super().tracked_exchanges()

    @override
    def tracked_exchange(self, exchange_name: str) -> TrackedExchange | None:
        self.asked_about.append(exchange_name)
        rows = super().tracked_exchanges()
        return next((row for row in rows if row.exchange_name == exchange_name), None)


def test_a_thousand_exchanges_that_begin_or_are_replayed_look_at_a_row_each(parts: Parts) -> None:
    parts.tracker = tracker = OneByOne()
    parts.append(2)
    with running(parts.route()):
        eventually(lambda: tracker.asked_about)
        begun = len(tracker.asked_about)
        tracker.replay(X, 0)
        eventually(lambda: parts.ids() == [1, 2, 1, 2])
        replayed = len(tracker.asked_about)

    assert replayed > begun
    assert tracker.asked_about_all == 0


def test_a_standby_looks_at_its_own_row(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidings.relay.elsewhere.WORKS_AFTER", 0.0)
    parts.tracker = tracker = OneByOne()
    parts.broker.refuse()
    with running(parts.route()):
        eventually(lambda: parts.told.of("failed"))
        eventually(lambda: parts.owner() is None)
        tracker.acquire_lease(X, "another", 60.0)
        tracker.asked_about_all = 0  # the look for the owner above
        tracker.asked_about.clear()
        eventually(lambda: tracker.asked_about)

    assert tracker.asked_about_all == 0
