"""Which partition of an exchange a key belongs to."""

from __future__ import annotations

import struct
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SEED: Final = 104_729
_32_BITS: Final = 0xFFFF_FFFF


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of ``key``, from 0 on, in an exchange that has ``partitions``.

    The answer is the same for ever: RabbitMQ's clients for super streams (Java, Go) compute it,
    too. It is the key's hash, an unsigned number, modulo ``partitions``. The hash is MurmurHash3
    (32 bits, for x86) of the key in UTF-8, with the seed 104729. ``ValueError`` if UTF-8 cannot
    hold the key.
    """
    return hash_of(key) % partitions


@lru_cache(maxsize=65_536)
def hash_of(key: str) -> int:
    """Return the hash of a key; ``ValueError`` likewise."""
    try:
        data = key.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"its partition key holds text that UTF-8 cannot hold: {error.reason}"
        ) from None
    return _fastest()(data)


def murmur3(data: bytes) -> int:
    """Return the hash of a key's bytes."""
    hashed, whole = SEED, len(data) & ~3
    for (block,) in struct.iter_unpack("<L", data[:whole]):
        mixed = block * 0xCC9E_2D51 & _32_BITS
        hashed ^= (mixed << 15 | mixed >> 17) * 0x1B87_3593 & _32_BITS
        hashed = ((hashed << 13 | hashed >> 19) & _32_BITS) * 5 + 0xE654_6B64 & _32_BITS
    if whole < len(data):
        mixed = int.from_bytes(data[whole:], "little") * 0xCC9E_2D51 & _32_BITS
        hashed ^= (mixed << 15 | mixed >> 17) * 0x1B87_3593 & _32_BITS
    hashed ^= len(data)
    hashed = (hashed ^ hashed >> 16) * 0x85EB_CA6B & _32_BITS
    hashed = (hashed ^ hashed >> 13) * 0xC2B2_AE35 & _32_BITS
    return hashed ^ hashed >> 16


@cache
def _fastest() -> Callable[[bytes], int]:
    """Return what computes the hash: a library in C if it is there, which rstream brings."""
    try:
        import mmh3  # noqa: PLC0415 - only if an exchange is parted
    except ImportError:
        return murmur3
    return lambda data: mmh3.hash(data, SEED, False)
