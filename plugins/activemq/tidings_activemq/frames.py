"""STOMP 1.2 frames as bytes.

stomp.py encodes one frame at a time, sorted and line by line; a transaction of two hundred events
is encoded here with the constant parts made once, and leaves in a single write.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from tidings.plugins import UndeliverableEventError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidings.plugins import NotificationMessage

MAX_HEADER_LINE = 10_240
"""Bytes of one header line; ActiveMQ closes the connection over a longer one, whatever its
settings (``StompWireFormat.MAX_HEADER_LENGTH``)."""

RESERVED = frozenset(
    {
        *("destination", "transaction", "receipt", "content-length", "content-type", "persistent"),
        *("type", "timestamp", "correlation-id", "event-id", "occurred_on", "message-id"),
        *("id", "ack", "subscription", "redelivered", "expires", "priority", "reply-to"),
        *("original-destination", "originalDestination", "browser", "transformation"),
    }
)
"""Headers with a meaning of their own to ActiveMQ or to us."""

_RESERVED_PREFIXES = ("JMS", "AMQ_", "activemq.")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ESCAPES = str.maketrans({"\\": "\\\\", "\r": "\\r", "\n": "\\n", ":": "\\c"})


def frame(command: str, headers: Mapping[str, str | int], body: bytes = b"") -> bytes:
    """Return a frame; headers are escaped."""
    lines = [command, *(f"{escape(k)}:{escape(str(v))}" for k, v in headers.items())]
    if body:
        lines.append(f"content-length:{len(body)}")
    return "\n".join(lines).encode() + b"\n\n" + body + b"\0"


def login(headers: Mapping[str, str]) -> bytes:
    """Return the frame that logs in; by the specification its headers aren't escaped."""
    lines = ["STOMP", *(f"{key}:{value}" for key, value in headers.items())]
    return "\n".join(lines).encode() + b"\n\n\0"


def escape(text: str) -> str:
    """Return ``text`` as it stands in a header."""
    return text.translate(_ESCAPES)


class EventFrames:
    """Encodes the events of one exchange."""

    def __init__(self, exchange_name: str, destination: str) -> None:
        self._exchange_name = exchange_name
        self._start = f"SEND\ndestination:{escape(destination)}\npersistent:true\ntransaction:"

    def encode(
        self,
        transaction: str,
        message: NotificationMessage,
        type_name: str,
        event_id: int,
        occurred_on: datetime,
    ) -> bytes:
        """Return the event's frame; :class:`UndeliverableEventError` where it cannot have one."""
        head = (
            f"{self._start}{transaction}\n"
            f"{_constant_headers(type_name, message.content_type)}"
            f"content-length:{len(message.body)}\n"
            f"correlation-id:{event_id}\nevent-id:{event_id}\n"
            f"timestamp:{(occurred_on - _EPOCH) // _MILLISECOND}\n"
            f"occurred_on:{_time(occurred_on)}\n"
        )
        try:
            if message.headers:
                head += self._headers(message.headers, event_id)
            return b"".join((head.encode(), b"\n", message.body, b"\0"))
        except UnicodeEncodeError as error:
            raise self._undeliverable(event_id, f"a header is not valid text ({error})") from error

    def _headers(self, headers: Mapping[str, str], event_id: int) -> str:
        lines = []
        for key, value in headers.items():
            if key in RESERVED or key.startswith(_RESERVED_PREFIXES) or not key:
                raise self._undeliverable(
                    event_id,
                    f"the serializer gives it a header {key!r}, which ActiveMQ or tidings itself "
                    "uses. Let the serializer name it otherwise",
                )
            line = f"{escape(key)}:{escape(value)}\n"
            if len(line) * 4 > MAX_HEADER_LINE and len(line.encode()) > MAX_HEADER_LINE:
                raise self._undeliverable(
                    event_id,
                    f"its header {key!r} takes {len(line.encode()):,} bytes, and ActiveMQ takes "
                    f"{MAX_HEADER_LINE:,}. Put what is long into the body",
                )
            lines.append(line)
        return "".join(lines)

    def _undeliverable(self, event_id: int, reason: str) -> UndeliverableEventError:
        return UndeliverableEventError(
            f"Event {event_id} cannot be sent to exchange {self._exchange_name!r}: {reason}.",
            exchange_name=self._exchange_name,
            event_id=event_id,
        )


@lru_cache(maxsize=4096)
def _constant_headers(type_name: str, content_type: str) -> str:
    kind = f"content-type:{escape(content_type)}\n" if content_type else ""
    return f"type:{escape(type_name)}\n{kind}"


def _time(occurred_on: datetime) -> str:
    return occurred_on.astimezone(UTC).isoformat(timespec="microseconds").replace(":", "\\c")
