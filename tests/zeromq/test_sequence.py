"""The subscriber's law: whatever becomes of the frames, what it takes ascends without a gap."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tidings_zeromq.sequence import Sequence, Verdict
from tidings_zeromq.wire import Head

stores = st.lists(st.integers(1, 60), unique=True, min_size=1, max_size=25).map(sorted)
Frame = tuple[Head, list[int]]


class HonestRelay:
    """Sends the store's events from where it was asked on; what it sent may go astray."""

    def __init__(self, store: list[int], start_id: int) -> None:
        self.store = store
        self.start_id = start_id

    def feed(self, nonce: int, last_id: int | None, size: int) -> list[Frame]:
        previous = self.start_id if last_id is None else last_id
        frames: list[Frame] = [(Head(nonce, previous, has_events=False), [])]
        left = [each for each in self.store if each > previous]
        while left:
            events, left = left[:size], left[size:]
            frames.append((Head(nonce, previous, has_events=True), events))
            previous = events[-1]
        return frames


@settings(max_examples=300)
@given(
    store=stores,
    start_id=st.integers(0, 30),
    named=st.booleans(),
    size=st.integers(1, 5),
    data=st.data(),
)
def test_what_is_taken_ascends_gapless_whatever_happens_to_the_frames(
    store: list[int], start_id: int, named: bool, size: int, data: st.DataObject
) -> None:
    relay = HonestRelay(store, start_id)
    sequence = Sequence(start_id if named else None)
    taken: list[int] = []
    astray: list[Frame] = []
    for _ in range(data.draw(st.integers(1, 5))):
        astray += relay.feed(sequence.nonce, sequence.last_id, size)
        # Any of all frames ever sent arrive, in any order, any number of times.
        for frame in data.draw(st.lists(st.sampled_from(astray), max_size=20)):
            taken += _arrive(sequence, frame)
        sequence.renew()

    wanted = [each for each in store if each > start_id]
    assert taken == wanted[: len(taken)]

    for frame in relay.feed(sequence.nonce, sequence.last_id, size):
        taken += _arrive(sequence, frame)
    assert taken == wanted


def test_a_frame_of_an_earlier_stream_is_dropped() -> None:
    sequence = Sequence(5)
    old = Head(sequence.nonce, 5, has_events=True)
    sequence.renew()

    assert sequence.judge(old) is Verdict.DROP


def test_a_missing_frame_is_seen() -> None:
    sequence = Sequence(5)

    assert sequence.judge(Head(sequence.nonce, 7, has_events=True)) is Verdict.HOLE


def test_events_before_the_relay_said_where_the_stream_begins_are_not_taken() -> None:
    sequence = Sequence(None)

    assert sequence.judge(Head(sequence.nonce, 0, has_events=True)) is Verdict.HOLE


def _arrive(sequence: Sequence, frame: Frame) -> list[int]:
    head, events = frame
    verdict = sequence.judge(head)
    if verdict is Verdict.BEGIN:
        sequence.begin(head)
    return [each for each in events if verdict is Verdict.TAKE and sequence.take(each)]
