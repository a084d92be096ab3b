"""Takes out of incoming frames what pika cannot read.

pika decodes a message's headers before anybody sees the message. Some that RabbitMQ carries
(a time after the year 9999, NaN, tables in tables in tables) make it raise. The frame stays where
it is, and nothing is ever read behind it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pika import data, spec
from pika.adapters.utils.nbio_interface import AbstractStreamProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pika.adapters.utils.nbio_interface import AbstractStreamTransport

_FRAME = struct.Struct(">BHL")
_CONTENT = struct.Struct(">HHQH")
"""Class, weight, size of the body, and which properties follow."""
_FLAGS_AT = 12
_NO_FLAGS = b"\0\0"
_LONG = struct.Struct(">L")
_FRAME_TYPES = (spec.FRAME_METHOD, spec.FRAME_HEADER, spec.FRAME_BODY, spec.FRAME_HEARTBEAT)
_WIDTHS = dict.fromkeys(b"tbB", 1) | dict.fromkeys(b"sUu", 2) | dict.fromkeys(b"Iif", 4)
_WIDTHS |= dict.fromkeys(b"LldT", 8) | {ord("D"): 5, ord("V"): 0}
_SIZED = b"SxAF"
_MARGIN = 20
"""Calls that pika may be deeper in than we are when it decodes the same."""


class ReadableProtocol(AbstractStreamProtocol):  # type: ignore[misc] # pika ships no types
    """Stands before pika's own protocol, and hands on whole frames."""

    def __init__(self, protocol: AbstractStreamProtocol) -> None:
        self.protocol = protocol
        self._rest = b""

    def connection_made(self, transport: AbstractStreamTransport) -> None:
        self.protocol.connection_made(transport)

    def connection_lost(self, error: BaseException | None) -> None:
        self.protocol.connection_lost(error)

    def eof_received(self) -> bool | None:
        return self.protocol.eof_received()  # type: ignore[no-any-return] # pika ships no types

    def data_received(self, data: bytes) -> None:
        """Hand on the frames that are whole, each so that pika can read it."""
        received = self._rest + data if self._rest else data
        if received[0] not in _FRAME_TYPES:
            self.protocol.data_received(received)  # not AMQP: for pika to say so
            return
        pieces, start = [], 0
        while len(received) - start >= _FRAME.size:
            kind, _, size = _FRAME.unpack_from(received, start)
            end = start + _FRAME.size + size + spec.FRAME_END_SIZE
            if len(received) < end:
                break
            frame = received[start:end]
            pieces.append(_readable(frame) if kind == spec.FRAME_HEADER else frame)
            start = end
        self._rest = received[start:]
        if pieces:
            self.protocol.data_received(b"".join(pieces))


def _readable(frame: bytes) -> bytes:
    """Return a message's frame without the headers that pika cannot read, or without any."""
    content = frame[_FRAME.size : -spec.FRAME_END_SIZE]
    if _decodes(content):
        return frame
    try:
        content = _with_decodable_headers(content)
    except (struct.error, IndexError):
        content = b""
    if not _decodes(content):
        content = frame[_FRAME.size : _FRAME.size + _FLAGS_AT] + _NO_FLAGS
    kind, channel, _ = _FRAME.unpack_from(frame)
    return _FRAME.pack(kind, channel, len(content)) + content + bytes([spec.FRAME_END])


def _decodes(content: bytes, margin: int = _MARGIN) -> bool:
    if margin:
        return _decodes(content, margin - 1)
    try:
        spec.BasicProperties().decode(content, _FLAGS_AT)
    except Exception:  # noqa: BLE001 - pika lets through whatever Python raises
        return False
    return True


def _with_decodable_headers(content: bytes) -> bytes:
    properties = content[_CONTENT.size :]
    start = _headers_start(properties, _CONTENT.unpack_from(content)[3])
    end = start + _LONG.size + _LONG.unpack_from(properties, start)[0]
    kept = b"".join(_decodable_entries(properties[start + _LONG.size : end]))
    return b"".join(
        (
            content[: _CONTENT.size],
            properties[:start],
            _LONG.pack(len(kept)),
            kept,
            properties[end:],
        )
    )


def _headers_start(properties: bytes, flags: int) -> int:
    """Return where the headers begin: behind content type and encoding, if these are there."""
    start = 0
    for flag in (
        spec.BasicProperties.FLAG_CONTENT_TYPE,
        spec.BasicProperties.FLAG_CONTENT_ENCODING,
    ):
        if flags & flag:
            start += 1 + properties[start]
    return start


def _decodable_entries(table: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(table):
        value = start + 1 + table[start]
        end = _end(table, value)
        if _is_decodable(table[value:end]):
            yield table[start:end]
        start = end


def _end(table: bytes, value: int) -> int:
    """Return where the value that begins with its kind ends; its inside is of no matter."""
    kind = table[value]
    if kind in _SIZED:
        return value + 1 + _LONG.size + int(_LONG.unpack_from(table, value + 1)[0])
    return value + 1 + _WIDTHS.get(kind, len(table))


def _is_decodable(value: bytes, margin: int = _MARGIN) -> bool:
    if margin:
        return _is_decodable(value, margin - 1)
    try:
        data.decode_value(value, 0)
    except Exception:  # noqa: BLE001 - pika lets through whatever Python raises
        return False
    return True
