"""Pushes what was encoded beforehand through a socket, and hears what the broker confirms."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

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

    At most ``window`` messages are unconfirmed at any time. ``take`` takes whole confirms off what
    was answered, and returns how many messages more are confirmed by them. Returns how many
    messages that were. The socket must not block.
    """
    total = sum(size for _, size in pieces)
    sent = confirmed = following = 0
    unsent, answers = memoryview(b""), bytearray()
    while confirmed < total:
        if not unsent and following < len(pieces):
            piece, size = pieces[following]
            if sent + size - confirmed <= window:
                unsent, sent, following = memoryview(piece), sent + size, following + 1
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
