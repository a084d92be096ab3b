"""The entries of a chunk, which is what a stream is delivered in, and the messages in them."""

from __future__ import annotations

import gzip
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from tidings.plugins import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rstream import schema

log = escaping_logger("tidings.rabbitmq")

_BATCH = 0x80
_COMPRESSION, _NONE, _GZIP = 0x70, 0x00, 0x10

MOST_UNPACKED = 64 * 1024 * 1024
"""Bytes of a batch. A chunk of a mebibyte may hold a thousand times that, compressed."""


class Entry(NamedTuple):
    """One message, or a batch of them as another program has put it together."""

    offset: int
    length: int
    """Its messages."""
    data: bytes
    compression: int | None
    """None: it is one message."""


def entries(chunk: schema.Deliver) -> Iterator[Entry]:
    """Give what is in a chunk; unpacks nothing."""
    data, at, offset = chunk.data, 0, chunk.chunk_first_offset
    for _ in range(chunk.num_entries):
        if data[at] & _BATCH:
            kind, count = data[at], int.from_bytes(data[at + 1 : at + 3])
            size = int.from_bytes(data[at + 7 : at + 11])
            batch = data[at + 11 : at + 11 + size]
            yield Entry(offset, count, batch, kind & _COMPRESSION)
            at += 11 + size
            offset += count
        else:
            size = int.from_bytes(data[at : at + 4])
            yield Entry(offset, 1, data[at + 4 : at + 4 + size], None)
            at += 4 + size
            offset += 1


def messages(entry: Entry, exchange_name: str) -> list[bytes]:
    """Return an entry's messages, whose offsets follow each other.

    A batch may be one that cannot be unpacked here, or would be more than :data:`MOST_UNPACKED`. It
    is given as it is, as one message at the offset of its first.
    """
    whole = [entry.data]
    if entry.compression is None:
        return whole
    plain = _plain(entry)
    if plain is None:
        return whole
    if len(plain) > MOST_UNPACKED:
        log.warning(
            "Exchange %r: %d messages of another program, from offset %d on, are one batch of more "
            "than %d MiB. It is given as it is, as one message.",
            exchange_name,
            entry.length,
            entry.offset,
            MOST_UNPACKED // 2**20,
        )
        return whole
    unpacked, at = [], 0
    for _ in range(entry.length):
        size = int.from_bytes(plain[at : at + 4])
        unpacked.append(plain[at + 4 : at + 4 + size])
        at += 4 + size
    return unpacked if at == len(plain) else whole


def _plain(entry: Entry) -> bytes | None:
    """Return a batch without its compression, as far as one byte above what may be unpacked."""
    if entry.compression == _NONE:
        return entry.data
    if entry.compression != _GZIP:
        return None
    try:
        with gzip.open(BytesIO(entry.data)) as packed:
            return packed.read(MOST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error):
        return None
