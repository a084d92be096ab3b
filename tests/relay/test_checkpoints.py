"""When the position moves: at once if events are rare, and once for many that come together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tidings.relay import checkpoints
from tidings.relay.owner import Owner
from tidings.relay.run import Run, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.relay.parts import Parts

BATCH = 3


@pytest.fixture
def run(parts: Parts) -> Iterator[Run]:
    with running(parts.route(batch_size=BATCH, events=["Order*"]), Owner()) as run:
        yield run


@pytest.fixture
def never_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "TRACK_EVERY", math.inf)
    monkeypatch.setattr(checkpoints, "NO_NEWS", math.inf)


def positions(parts: Parts, run: Run, count: int, type_name: str = "OrderPlaced") -> list[int]:
    """Return where the exchange stands after each of so many events, one a batch."""
    found = []
    for _ in range(count):
        parts.append(1, type_name)
        run.step()
        found.append(parts.position() or 0)
    return found


@pytest.mark.usefixtures("never_due")
def test_small_batches_are_tracked_by_one_transaction_when_they_make_a_whole_one(
    parts: Parts, run: Run
) -> None:
    assert positions(parts, run, 4) == [1, 1, 1, 4]


@pytest.mark.usefixtures("never_due")
def test_what_is_not_due_is_tracked_when_the_run_ends(parts: Parts) -> None:
    with running(parts.route(batch_size=BATCH), Owner()) as run:
        assert positions(parts, run, 2) == [1, 1]

    assert parts.position() == 2


@pytest.mark.usefixtures("never_due")
def test_events_that_are_passed_over_are_not_left_untracked(parts: Parts, run: Run) -> None:
    assert positions(parts, run, 2, "InvoiceSent") == [1, 2]


def test_the_first_after_a_pause_is_tracked_at_once(
    parts: Parts, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "NO_NEWS", math.inf)
    monkeypatch.setattr(checkpoints, "TRACK_EVERY", 3600.0)

    assert positions(parts, run, 2) == [1, 1]


def test_what_is_accepted_is_tracked_when_no_more_comes(
    parts: Parts, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "TRACK_EVERY", 3600.0)
    positions(parts, run, 2)

    while run.in_flight:
        run.settle()

    assert parts.position() == 2
