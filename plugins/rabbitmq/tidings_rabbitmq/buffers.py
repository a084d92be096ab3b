"""Encoded messages as the buffers that they are made of, so that no large body is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LARGE: Final = 32 * 1024
"""A buffer of so many bytes goes to the socket as it is: a copy takes longer than another call."""

Buffers: TypeAlias = "tuple[bytes | memoryview, ...]"
"""What one message is, one buffer behind the other; none is empty."""


def together(buffers: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Give the same bytes: small buffers joined with their neighbours, large ones as they are."""
    small: list[bytes | memoryview] = []
    for buffer in buffers:
        if len(buffer) < LARGE:
            small.append(buffer)
            continue
        if small:
            yield b"".join(small)
            small = []
        yield buffer
    if small:
        yield b"".join(small)
