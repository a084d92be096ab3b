"""Reads AMQP 1.0 messages, whoever wrote them.

rstream's decoder believes every count that it reads: forty bytes make it ask for all the memory
there is. Here nothing is read past the message's end, nor deeper than a few levels.
"""

from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ANNOTATIONS, PROPERTIES, APPLICATION, DATA, SEQUENCE, VALUE = 0x72, 0x73, 0x74, 0x75, 0x76, 0x77
_DEEPEST = 8
_FIXED = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}
"""Bytes of a value, by the upper half of the byte that says what it is."""
_SIZED = {0xA: 1, 0xB: 4, 0xC: 1, 0xD: 4, 0xE: 1, 0xF: 4}
"""Bytes of the size that stands before the value."""
_LIST, _MAP = (0xC0, 0xD0), (0xC1, 0xD1)
_TEXT = (0xA1, 0xB1, 0xA3, 0xB3)


def _number(form: str) -> Callable[[bytes], Any]:
    return lambda value: struct.unpack(form, value)[0]


_READERS: dict[int, Callable[[bytes], Any]] = {
    0x40: lambda _: None,
    0x41: lambda _: True,
    0x42: lambda _: False,
    0x43: lambda _: 0,
    0x44: lambda _: 0,
    0x45: lambda _: [],
    0x50: _number(">B"),
    0x51: _number(">b"),
    0x52: _number(">B"),
    0x53: _number(">B"),
    0x54: _number(">b"),
    0x55: _number(">b"),
    0x56: _number(">?"),
    0x60: _number(">H"),
    0x61: _number(">h"),
    0x70: _number(">I"),
    0x71: _number(">i"),
    0x72: _number(">f"),
    0x80: _number(">Q"),
    0x81: _number(">q"),
    0x82: _number(">d"),
    0x83: _number(">q"),
    0x98: lambda value: uuid.UUID(bytes=value),
}


class Sections(NamedTuple):
    """The parts of a message that a consumer shows."""

    annotations: Mapping[Any, Any]
    properties: Sequence[Any]
    application: Mapping[Any, Any]
    body: bytes

    def property(self, place: int) -> Any:
        """Return the property at its place in AMQP's list, or ``None``."""
        return self.properties[place] if place < len(self.properties) else None


def read_sections(data: bytes) -> Sections:
    """Return the sections of ``data``; all of it is the body if it is no AMQP message."""
    try:
        return _read_sections(data)
    except (ValueError, LookupError):
        return Sections({}, (), {}, data)


def _read_sections(data: bytes) -> Sections:
    found: dict[int, Any] = {}
    body: list[bytes] = []
    at = 0
    while at < len(data):
        if data[at]:
            raise ValueError("a section begins with a zero")
        section, begin = _value(data, at + 1, 0)
        value, at = _value(data, begin, 0)
        if section in (DATA, VALUE, SEQUENCE):
            body.append(_bytes(value, data[begin:at]))
        elif isinstance(section, int):
            found[section] = value
    return Sections(
        annotations=_of_kind(found.get(ANNOTATIONS), dict) or {},
        properties=_of_kind(found.get(PROPERTIES), list) or (),
        application=_of_kind(found.get(APPLICATION), dict) or {},
        body=b"".join(body),
    )


def _value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """Return the value that begins at ``at``, and where it ends."""
    code = data[at]
    if code == 0:
        if depth > _DEEPEST:
            raise ValueError("described too often")
        _, at = _value(data, at + 1, depth + 1)
        return _value(data, at, depth + 1)
    width = _SIZED.get(code >> 4, 0)
    size = int.from_bytes(data[at + 1 : at + 1 + width]) if width else _FIXED[code >> 4]
    begin = at + 1 + width
    end = begin + size
    if end > len(data):
        raise ValueError("it ends in the middle of a value")
    if depth <= _DEEPEST and code in _LIST + _MAP:
        return _compound(data, code, begin + width, end, depth + 1), end
    value = data[begin:end]
    if code in _TEXT:
        return value.decode(errors="replace"), end
    return _READERS.get(code, bytes)(value), end


def _compound(data: bytes, code: int, at: int, end: int, depth: int) -> Any:
    """Return a list or map; its end counts, and not the number that it says it has."""
    items = []
    while at < end:
        item, at = _value(data, at, depth)
        items.append(item)
    if code in _LIST:
        return items
    return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=False)}


def _key(key: Any) -> Any:
    return str(key) if isinstance(key, list | dict) else key


def _bytes(value: Any, encoded: bytes) -> bytes:
    """Return a body: text and bytes as they are, all else as AMQP encodes it."""
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bytes) else encoded


def _of_kind(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else None
