"""Of what keeps an exchange waiting only that is told which lasts, once, and its end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.relay.clock import Clock
from tests.relay.parts import Told
from tidings import Hold
from tidings.relay import holding as holding_module
from tidings.relay.holding import WORTH_TELLING, Holding
from tidings.relay.observers import Observers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(holding_module, "time", clock)
    return clock


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def holding(clock: Clock, told: Told, caplog: pytest.LogCaptureFixture) -> Iterator[Holding]:
    assert clock.now
    with caplog.at_level(logging.INFO):
        yield Holding("x", Observers([told]))


def hold(missing_id: int) -> Hold:
    return Hold(missing_id, f"process {missing_id}00", 0.1)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_any_number_of_short_holds_is_told_nobody(
    holding: Holding, clock: Clock, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    for missing_id in range(1, 100):
        holding.look(hold(missing_id))
        clock.now += WORTH_TELLING * 0.9
        holding.look(hold(missing_id))
        if missing_id % 2:
            holding.over()
    holding.look(None)

    assert messages(caplog) == []
    assert told.calls == []


def test_a_hold_of_a_second_is_one_line_and_its_end_another(
    holding: Holding, clock: Clock, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(25):
        holding.look(hold(7))
        clock.now += 0.1
    assert messages(caplog) == ["x: waiting for event 7, which process 700 may still commit"]
    holding.look(None)
    holding.over()

    assert messages(caplog)[1:] == ["x: no longer waiting for event 7, after 2.5 s"]
    assert told.of("held") == [("held", "x", 7)]


def test_one_long_hold_after_another_is_told_with_both_ends(
    holding: Holding, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for missing_id in (7, 9):
        for _ in range(3):
            holding.look(hold(missing_id))
            clock.now += 1.0
    holding.over()

    assert [message.partition(",")[0] for message in messages(caplog)] == [
        "x: waiting for event 7",
        "x: no longer waiting for event 7",
        "x: waiting for event 9",
        "x: no longer waiting for event 9",
    ]
