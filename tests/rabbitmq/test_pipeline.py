"""However the confirms come: everything goes out once, in order, and never too much at a time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from tidings.plugins import StoreUnavailableError
from tidings_rabbitmq.pipeline import PIECE_BYTES, WINDOW_BYTES, Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from tidings_rabbitmq.pipeline import Buffers

BURSTS = st.lists(st.integers(0, 40), max_size=60)
"""How many messages the broker confirms at each look at the connection."""


class Sized(bytes):
    """An event's id as what goes out, which says that it is larger than it is."""

    size: int

    def __new__(cls, event_id: int, size: int) -> Self:
        made = super().__new__(cls, b"%d" % event_id)
        made.size = size
        return made

    @override
    def __len__(self) -> int:
        return self.size


class Broker:
    """A link to a broker that confirms in bursts; written down is what it was sent."""

    unsent = 0

    def __init__(self, bursts: Sequence[int] = ()) -> None:
        self.received: list[int] = []
        self.most_untracked = 0
        self.confirmed = self.tracked = 0
        self.pipeline: Pipeline
        self._bursts = deque(bursts)

    def write(self, messages: Sequence[Buffers]) -> None:
        self.received += (int(bytes(event_id)) for (event_id,) in messages)
        self.most_untracked = max(self.most_untracked, len(self.received) - self.tracked)

    def step(self, seconds: float) -> None:
        burst = self._bursts.popleft() if self._bursts else 1
        # Whoever waits gets an answer; whoever only looks may find nothing.
        self.confirm(max(burst, 1) if seconds > 0 else burst)

    def confirm(self, count: int) -> None:
        self.confirmed = min(self.confirmed + count, len(self.received))
        if self.confirmed:
            self.pipeline.unconfirmed.accept(self.confirmed, multiple=True)

    def check(self) -> None:
        """Find nothing wrong."""

    def fail_silent(self, doing: str, seconds: float) -> None:
        raise AssertionError(f"{doing} for {seconds} s")

    def track(self) -> None:
        self.tracked = self.pipeline.accepted_id() or 0


def connected(broker: Broker, window: int, track: Callable[[], None] | None) -> Pipeline:
    broker.pipeline = Pipeline(broker, window, 5.0, track)
    return broker.pipeline


def send(pipeline: Pipeline, *event_ids: int) -> None:
    for event_id in event_ids:
        pipeline.send(event_id, 1, (b"%d" % event_id,))


@given(window=st.integers(1, 30), count=st.integers(1, 150), bursts=BURSTS, asked=st.integers(1, 9))
def test_a_crash_finds_no_more_than_a_window_sent_and_not_tracked(
    window: int, count: int, bursts: list[int], asked: int
) -> None:
    broker = Broker(bursts)
    pipeline = connected(broker, window, broker.track)

    for event_id in range(1, count + 1):
        send(pipeline, event_id)
        if event_id % asked == 0:
            broker.track()
    pipeline.flush(None)

    assert broker.most_untracked <= window
    assert broker.received == list(range(1, count + 1))
    assert pipeline.accepted_id() == count


@given(window=st.integers(1, 30), count=st.integers(1, 150), bursts=BURSTS)
def test_without_a_tracker_no_more_than_a_window_is_unconfirmed(
    window: int, count: int, bursts: list[int]
) -> None:
    broker = Broker(bursts)
    pipeline = connected(broker, window, None)

    def untracked_is_unconfirmed(messages: Sequence[Buffers]) -> None:
        broker.tracked = broker.confirmed
        Broker.write(broker, messages)

    broker.write = untracked_is_unconfirmed  # type: ignore[method-assign]
    send(pipeline, *range(1, count + 1))
    pipeline.flush(None)

    assert broker.most_untracked <= window
    assert broker.received == list(range(1, count + 1))


@given(
    sizes=st.lists(st.integers(0, WINDOW_BYTES // 2), min_size=20, max_size=120),
    bodies=st.floats(0, 1),
    bursts=BURSTS,
    tracks=st.booleans(),
)
def test_no_more_than_the_window_of_bytes_is_unconfirmed_whatever_part_of_them_is_headers(
    sizes: list[int], bodies: float, bursts: list[int], *, tracks: bool
) -> None:
    broker = Broker(bursts)
    pipeline = connected(broker, 50, broker.track if tracks else None)
    most = 0

    def note(messages: Sequence[Buffers]) -> None:
        nonlocal most
        Broker.write(broker, messages)
        most = max(most, sum(sizes[broker.confirmed : len(broker.received)]))

    broker.write = note  # type: ignore[method-assign]
    for event_id, size in enumerate(sizes, 1):
        pipeline.send(event_id, int(size * bodies), (Sized(event_id, size),))
    pipeline.flush(None)

    assert most <= WINDOW_BYTES + PIECE_BYTES + max(sizes)
    assert pipeline.accepted_id() == len(sizes)


def test_what_comes_after_a_full_window_is_taken_meanwhile_and_goes_out_with_its_confirm() -> None:
    broker = Broker([0] * 100)
    pipeline = connected(broker, 10, None)

    send(pipeline, *range(1, 21))
    before = list(broker.received)
    broker.confirm(10)
    send(pipeline, 21)

    assert before == list(range(1, 11))
    assert broker.received[:20] == list(range(1, 21))


def test_nobody_waits_for_confirms_that_have_come_already() -> None:
    broker = Broker([0] * 100)
    pipeline = connected(broker, 10, None)
    send(pipeline, *range(1, 21))
    broker.confirm(10)

    def wait_in_vain(seconds: float) -> None:
        assert seconds == 0 or len(broker.received) > broker.confirmed, "nothing is owed"

    broker.step = wait_in_vain  # type: ignore[method-assign]
    send(pipeline, 21)

    assert broker.received[:20] == list(range(1, 21))


def test_nothing_is_tracked_and_nothing_sent_beyond_it_while_somebody_else_waits() -> None:
    def fail() -> None:
        raise AssertionError("who waits may be who waits for the database")

    broker = Broker([0] * 100)
    pipeline = connected(broker, 10, fail)
    send(pipeline, *range(1, 21))
    broker.confirm(10)

    pipeline.wait(0.01)

    assert broker.received == list(range(1, 11))
    assert pipeline.accepted_id() == 10
    pipeline.wait(0.01)
    assert broker.received == list(range(1, 11)), "what was told is not tracked yet"
    assert pipeline.accepted_id() == 10
    pipeline.wait(0.01)
    assert broker.received == list(range(1, 21))


def test_no_more_goes_out_while_what_was_accepted_is_being_tracked() -> None:
    def track_slowly() -> None:
        assert pipeline.accepted_id() == 10
        pipeline.wait(0.01)  # as another thread does while the database is waited for
        assert broker.received == list(range(1, 11))

    broker = Broker([0] * 100)
    pipeline = connected(broker, 10, track_slowly)
    send(pipeline, *range(1, 21))
    broker.confirm(10)

    send(pipeline, 21)

    assert broker.received == list(range(1, 21))


def test_what_cannot_be_tracked_is_not_followed_by_more() -> None:
    def fail() -> None:
        raise StoreUnavailableError("The database is gone.")

    broker = Broker([0] * 100)
    pipeline = connected(broker, 10, fail)
    send(pipeline, *range(1, 21))
    broker.confirm(10)

    with pytest.raises(StoreUnavailableError):
        pipeline.flush(None)
    assert broker.received == list(range(1, 11))
