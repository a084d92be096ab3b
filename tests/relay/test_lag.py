"""How far an exchange is behind: counted up to a bound, and said so beyond it."""

from __future__ import annotations

from typing import NoReturn

import pytest

from tests.relay.parts import Parts, X
from tidings.errors import UnreadableEventError
from tidings.relay import lag as lag_module
from tidings.relay.lag import lag
from tidings.relay.standings import standings

pytestmark = pytest.mark.usefixtures("few")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag_module, "MOST_COUNTED", 5)


def test_it_is_exact_up_to_the_bound_whatever_the_ids(parts: Parts) -> None:
    parts.append(1)
    parts.roll_back(1)
    parts.append(4)
    parts.roll_back(3)
    found = lag(parts.store, 0)
    assert (found.events, found.is_exact, found.newest_event_id) == (5, True, 6)
    assert lag(parts.store, 6)[:3] == (6, 0, True)


def test_beyond_the_bound_it_is_how_far_the_ids_go(parts: Parts) -> None:
    parts.append(1)
    parts.roll_back(8)
    parts.append(11)
    found = lag(parts.store, 0)
    assert (found.events, found.is_exact) == (20, False)
    ((_, seen),) = standings({X: "its source"}, lambda: parts.tracker, lambda _: parts.store)
    assert (seen.events_behind, seen.events_behind_is_exact) == (20, False)


def test_a_look_ends_however_many_events_cannot_be_read(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def stumble(event_id: int, _limit: int) -> NoReturn:
        looks.append(event_id)
        raise UnreadableEventError("no time", event_id=event_id + 1)

    parts.append(500)
    monkeypatch.setattr(parts.store, "all_stored_events_since", stumble)

    found = lag(parts.store, 0)

    assert (found.events, found.seconds) == (500, 0.0)
    assert len(looks) < 50
