"""One look at the tracker is for all exchanges, and tells each what is asked of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tidings import InMemoryTracker, StoreUnavailableError
from tidings.plugins import Pause
from tidings.relay import asked as asked_module
from tidings.relay.asked import Requests

if TYPE_CHECKING:
    from collections.abc import Collection

EXCHANGES = [f"x{number}" for number in range(10)]


class Counting(InMemoryTracker):
    """Counts how often it is looked at; fails if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.fails = False

    @override
    def paused_exchanges(self) -> Collection[str]:
        self.looks += 1
        if self.fails:
            raise StoreUnavailableError("gone")
        return super().paused_exchanges()


@pytest.fixture
def tracker() -> Counting:
    tracker = Counting()
    for name in EXCHANGES:
        tracker.replay(name, 0)
    return tracker


def paused(requests: Requests) -> list[str]:
    return [name for name in EXCHANGES if requests.is_paused(name)]


def test_one_look_is_for_all_exchanges(tracker: Counting) -> None:
    tracker.pause("x3", Pause("me", "a try", datetime.now(UTC)))
    requests = Requests(tracker)
    assert paused(requests) == ["x3"]
    assert tracker.looks == 1


def test_an_answer_does_not_last(tracker: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_module, "LOOK_FOR_A_PAUSE", 0.0)
    requests = Requests(tracker)
    assert paused(requests) == []
    tracker.pause("x3", Pause("me", "a try", datetime.now(UTC)))
    assert paused(requests) == ["x3"]


def test_after_a_failure_each_looks_again(tracker: Counting) -> None:
    tracker.fails = True
    requests = Requests(tracker)
    for name in EXCHANGES:
        with pytest.raises(StoreUnavailableError):
            requests.is_paused(name)
    tracker.fails = False
    tracker.pause("x3", Pause("me", "a try", datetime.now(UTC)))
    assert paused(requests) == ["x3"]
