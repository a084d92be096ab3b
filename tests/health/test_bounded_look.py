"""Who asks for what hangs is told so, and waits no longer than a bound."""

from __future__ import annotations

import threading

import pytest

from tidings import StoreUnavailableError
from tidings.health import bounded_look
from tidings.health.bounded_look import BoundedLook, NoAnswerError
from tidings.testing import eventually


def test_what_is_found_is_given_and_looked_for_again_only_when_it_is_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[int] = []

    def look() -> int:
        looks.append(1)
        return len(looks)

    asked = BoundedLook(look, "It")

    assert (asked.ask(), asked.ask()) == (1, 1)
    monkeypatch.setattr(bounded_look, "FRESH", -1.0)
    assert asked.ask() == 2


def test_what_the_look_raises_is_raised() -> None:
    def look() -> int:
        raise StoreUnavailableError("No database.")

    with pytest.raises(StoreUnavailableError, match="No database"):
        BoundedLook(look, "It").ask()


def test_a_look_that_hangs_is_waited_for_no_longer_and_is_the_only_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded_look, "PATIENCE", 0.1)
    answer, looks = threading.Event(), []

    def look() -> str:
        looks.append(1)
        answer.wait()
        return "found"

    asked = BoundedLook(look, "The event store")
    for _ in range(3):
        with pytest.raises(NoAnswerError, match=r"The event store has not answered for \d+ s"):
            asked.ask()
    answer.set()

    monkeypatch.setattr(bounded_look, "PATIENCE", 30)
    assert asked.ask() == "found"
    assert looks == [1]


def test_too_many_who_wait_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_look, "PATIENCE", 30)
    answer = threading.Event()
    found: list[bool] = []
    sent_away: list[str] = []
    asked = BoundedLook(answer.wait, "It")

    def ask() -> None:
        try:
            found.append(asked.ask())
        except NoAnswerError as error:
            sent_away.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(bounded_look.MOST_WAITING + 2)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(sent_away) == 2, "two to be sent away")
    assert found == []
    answer.set()
    for thread in threads:
        thread.join()
    assert found == [True] * bounded_look.MOST_WAITING
    assert all("others wait for It" in each for each in sent_away)
