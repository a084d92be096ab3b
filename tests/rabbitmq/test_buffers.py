"""A large body is not copied on its way to the socket, and what is small goes out together."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.rabbitmq.client import NOON
from tidings.plugins import NotificationMessage, Position
from tidings_rabbitmq.buffers import LARGE, together
from tidings_rabbitmq.frames import MessageEncoder

if TYPE_CHECKING:
    from tidings_rabbitmq.buffers import Buffers

SIZES = st.lists(st.sampled_from([1, 7, 300, LARGE - 1, LARGE, LARGE + 1]), max_size=12)


def encoded(body: bytes) -> Buffers:
    encoder = MessageEncoder(1, "shop", 131072, "tidings", Position())
    return encoder.encode(NotificationMessage(body, "text/plain", {}), "A", 1, NOON)


def test_a_large_body_is_among_the_buffers_itself() -> None:
    body = bytes(LARGE)
    assert any(buffer is body for buffer in encoded(body))


def test_of_a_body_of_many_frames_no_frame_is_a_copy() -> None:
    body = bytes(1_000_000)
    parts = [each for each in encoded(body) if isinstance(each, memoryview)]
    assert all(part.obj is body for part in parts)
    assert sum(map(len, parts)) > 0.9 * len(body)


def test_a_small_message_is_one_buffer() -> None:
    assert len(encoded(bytes(LARGE - 1))) == 1


@given(sizes=SIZES)
def test_nothing_is_lost_or_changes_its_place_and_what_is_small_is_joined(sizes: list[int]) -> None:
    buffers = [bytes((number,)) * size for number, size in enumerate(sizes)]
    large = [buffer for buffer in buffers if len(buffer) >= LARGE]
    runs_of_small = sum(not is_large for is_large, _ in groupby(sizes, lambda size: size >= LARGE))

    joined = list(together(buffers))

    assert b"".join(joined) == b"".join(buffers)
    assert len(joined) == len(large) + runs_of_small
    assert {id(each) for each in large} <= {id(each) for each in joined}
