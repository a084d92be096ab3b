"""What the relay's RabbitMQ producers hand to the socket at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings_rabbitmq.pipeline import PIECE_BYTES, PIECE_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def piece_messages(window: int) -> int:
    """Return how many messages go out together at most."""
    return min(PIECE_MESSAGES, max(window // 2, 1))


def pieces(encoded: Iterable[bytes], window: int) -> Iterator[list[bytes]]:
    """Put messages together as the relay does: so many, or so many bytes."""
    piece: list[bytes] = []
    size, most = 0, piece_messages(window)
    for message in encoded:
        piece.append(message)
        size += len(message)
        if len(piece) >= most or size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
