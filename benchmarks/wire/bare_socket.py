"""Pushes what was encoded beforehand through a socket, and hears what the broker confirms."""

from __future__ import annotations

import select
from collections import deque
from typing import TYPE_CHECKING

from tidings_rabbitmq.pipeline import WINDOW_BYTES

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence


def push(
    connection: socket.socket,
    pieces: Sequence[tuple[bytes, int]],
    window: int,
    take: Callable[[bytearray], int],
) -> int:
    """Send pieces, each with its number of messages, and return when all are confirmed.

    At most ``window`` messages are unconfirmed at any time, and as many bytes as the relay lets be,
    one piece aside. ``take`` takes whole confirms off what was answered, and returns how many
    messages more are confirmed by them. Returns how many messages that were. The socket must not
    block.
    """
    total = sum(size for _, size in pieces)
    sent = confirmed = following = in_flight = 0
    owed: deque[tuple[int, int]] = deque()
    """Of each piece that isn't confirmed: how many messages were sent with it, and its bytes."""
    unsent, answers = memoryview(b""), bytearray()
    while confirmed < total:
        while owed and owed[0][0] <= confirmed:
            in_flight -= owed.popleft()[1]
        if not unsent and following < len(pieces) and in_flight < WINDOW_BYTES:
            piece, size = pieces[following]
            if sent + size - confirmed <= window:
                unsent, sent, following = memoryview(piece), sent + size, following + 1
                owed.append((sent, len(piece)))
                in_flight += len(piece)
        readable, writable, _ = select.select([connection], [connection] if unsent else [], [])
        if writable:
            unsent = unsent[connection.send(unsent) :]
        if readable:
            answers += received(connection)
            confirmed += take(answers)
    return total


def received(connection: socket.socket, most: int = 65536) -> bytes:
    """Return what has come, up to ``most`` bytes."""
    data = connection.recv(most)
    if not data:
        raise RuntimeError("RabbitMQ hung up on the bare client.")
    return data
