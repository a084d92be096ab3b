"""What counts as progress of a broker, and what does not, however much is sent meanwhile."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.rabbitmq.test_pipeline import Broker, Sized, connected, send
from tidings.plugins import BrokerUnavailableError
from tidings_rabbitmq import pipeline as pipeline_module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings_rabbitmq.pipeline import Buffers, Pipeline


class Clock:
    """Goes on while somebody waits for the broker."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pipeline_module, "time", clock)
    return clock


class SilentBroker(Broker):
    """Confirms nothing. The socket takes so many bytes at each look."""

    def __init__(self, clock: Clock, takes: int) -> None:
        super().__init__()
        self.clock = clock
        self.takes = takes

    @override
    def write(self, messages: Sequence[Buffers]) -> None:
        super().write(messages)
        self.unsent += sum(map(len, chain.from_iterable(messages)))

    @override
    def step(self, seconds: float) -> None:
        self.clock.now += max(seconds, 0)
        self.unsent -= min(self.unsent, self.takes)

    @override
    def fail_silent(self, doing: str, seconds: float) -> None:
        raise BrokerUnavailableError(doing, exchange_name="x")


def send_and_wait(pipeline: Pipeline, first: int, count: int, *, confirmed: bool = False) -> None:
    """Send one after the other, wait 20 ms for each, and have each confirmed then, or none."""
    for event_id in range(first, first + count):
        send(pipeline, event_id)
        pipeline.wait(0.02)
        if confirmed:
            pipeline.unconfirmed.accept(event_id, multiple=False)


def test_a_silent_broker_is_given_up_though_the_socket_takes_all_that_comes(clock: Clock) -> None:
    pipeline = connected(SilentBroker(clock, takes=1000), 10_000, None)

    with pytest.raises(BrokerUnavailableError, match="the first is event 1"):
        send_and_wait(pipeline, 1, 1000)

    assert clock.now == pytest.approx(5.0, abs=0.03)


def test_a_broker_that_confirms_all_but_the_first_is_given_up(clock: Clock) -> None:
    broker = SilentBroker(clock, takes=1000)
    pipeline = connected(broker, 10_000, None)
    send_and_wait(pipeline, 1, 1)

    with pytest.raises(BrokerUnavailableError, match="the first is event 1"):
        send_and_wait(pipeline, 2, 1000, confirmed=True)

    assert clock.now == pytest.approx(5.0, abs=0.03)


def test_a_large_message_on_a_slow_way_is_no_silence_though_more_is_sent(clock: Clock) -> None:
    pipeline = connected(SilentBroker(clock, takes=20), 10_000, None)
    pipeline.send(1, 1, (Sized(1, 20_000),))

    send_and_wait(pipeline, 2, 500)

    assert clock.now == pytest.approx(10.0)
