"""How far an exchange is behind: counted up to a bound, and said so beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.parts import Parts, X
from tidings.relay import lag as lag_module
from tidings.relay.lag import lag, standing

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.usefixtures("few")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag_module, "MOST_COUNTED", 5)


def test_it_is_exact_up_to_the_bound_whatever_the_ids(parts: Parts) -> None:
    parts.append(3)
    leave_out(parts, [2])
    parts.append(6)
    leave_out(parts, range(7, 10))
    found = lag(parts.store, 0)
    assert (found.events, found.is_exact, found.newest_event_id) == (5, True, 6)
    assert lag(parts.store, 6)[:3] == (6, 0, True)


def test_beyond_the_bound_it_is_how_far_the_ids_go(parts: Parts) -> None:
    parts.append(20)
    leave_out(parts, range(2, 10))
    found = lag(parts.store, 0)
    assert (found.events, found.is_exact) == (20, False)
    seen = standing(parts.store, parts.tracker, X)
    assert (seen.events_behind, seen.events_behind_is_exact) == (20, False)


def leave_out(parts: Parts, ids: Sequence[int]) -> None:
    """Let there be no events of these ids, as if their transactions had been rolled back."""
    parts.store._events = [e for e in parts.store._events if e.event_id not in ids]
