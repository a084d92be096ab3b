"""A tracker that raises what it must not: the exchange goes on, whatever call it was."""

from __future__ import annotations

import logging

import pytest

from tests.relay.parts import Parts, X
from tests.relay.working import running
from tidings import TidingsError
from tidings.relay.exchange_worker import ExchangeWorker
from tidings.relay.worker import Worker
from tidings.testing import eventually

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.mark.parametrize("call", ["note_idle", "forget_idle", "tracked_exchanges"])
def test_a_failure_is_outlived_though_nothing_can_be_noted_of_it(
    parts: Parts,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a fault of the plugin's")

    monkeypatch.setattr(parts.tracker, call, broken)
    parts.append(3)
    parts.broker.refuse()

    with caplog.at_level(logging.WARNING), running(parts.route()):
        eventually(lambda: len(parts.told.of("failed")) >= 2)
        parts.broker.admit()
        eventually(lambda: parts.ids() == [1, 2, 3])
        eventually(lambda: parts.told.of("recovered"))

    assert caplog.text.count("`tidings status` does not see this: KeyError") == 1


def test_a_lost_lease_is_outlived_though_nobody_can_say_how(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def broken() -> None:
        looked.append("")
        raise KeyError("a fault of the plugin's")

    with running(parts.route()):
        eventually(parts.owner)
        monkeypatch.setattr(parts.tracker, "tracked_exchanges", broken)
        parts.tracker.replay(X, 0)
        eventually(lambda: looked)
        parts.append(2)
        eventually(lambda: parts.ids() == [1, 2])


def test_a_worker_whose_thread_died_does_not_end_as_if_all_were_well(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_worker: ExchangeWorker) -> None:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(ExchangeWorker, "run", die)

    with pytest.raises(TidingsError, match=r"'x': its thread has ended .* report it") as raised:
        Worker([parts.route()]).run()
    assert isinstance(raised.value.__cause__, KeyError)
