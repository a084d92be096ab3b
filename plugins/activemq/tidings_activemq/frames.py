"""STOMP 1.2 frames as bytes.

stomp.py encodes one frame at a time, sorted and line by line. Here a transaction of two hundred
events is encoded with the constant parts made once, and leaves in a single write.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from tidings.plugins import NotificationMessage, UndeliverableEventError
from tidings_activemq import characters, routing

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEADER_LINE = 10_240
"""Bytes of one header line; ActiveMQ closes the connection over a longer one, whatever its
settings (``StompWireFormat.MAX_HEADER_LENGTH``)."""

RESERVED = frozenset(
    {
        *("destination", "transaction", "receipt", "content-length", "content-type", "persistent"),
        *("type", "timestamp", "correlation-id", "event-id", "occurred_on", "message-id"),
        *("id", "ack", "subscription", "redelivered", "expires", "priority", "reply-to"),
        *("original-destination", "originalDestination", "browser", "transformation"),
        "amq-msg-type",
        characters.ESCAPED,
    }
)
"""Headers with a meaning of their own to ActiveMQ or to us."""

_RESERVED_PREFIXES = ("JMS", "AMQ_", "activemq.")
_KEPT_STARTS = 4096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ESCAPES = str.maketrans({"\\": "\\\\", "\r": "\\r", "\n": "\\n", ":": "\\c"})


def frame(command: str, headers: Mapping[str, str | int], body: bytes = b"") -> bytes:
    """Return a frame; headers are escaped."""
    lines = [command, *(f"{escape(k)}:{escape(str(v))}" for k, v in headers.items())]
    if body:
        lines.append(f"content-length:{len(body)}")
    return "\n".join(lines).encode() + b"\n\n" + body + b"\0"


def asking(encoded: bytes, receipt: str) -> bytes:
    """Return an encoded frame that asks for that receipt, too."""
    command, rest = encoded.split(b"\n", 1)
    return b"%b\nreceipt:%b\n%b" % (command, receipt.encode(), rest)


def login(headers: Mapping[str, str]) -> bytes:
    """Return the frame that logs in; by the specification its headers aren't escaped."""
    lines = ["STOMP", *(f"{key}:{value}" for key, value in headers.items())]
    return "\n".join(lines).encode() + b"\n\n\0"


def escape(text: str) -> str:
    """Return ``text`` as it stands in a header."""
    return text.translate(_ESCAPES)


class EventFrames:
    """Encodes the events of one exchange, whose routing keys travel as ``routing`` says.

    If it is ``parted``, each partition has a topic of its own. In any case a message is one of the
    message group that its partition is.
    """

    def __init__(
        self,
        exchange_name: str,
        destination: str,
        routing: Literal["none", "header", "topic"] = "none",
        *,
        parted: bool = False,
    ) -> None:
        self._exchange_name = exchange_name
        self._start = _start(destination)
        self._destination = destination
        self._has_keys = routing != "none"
        self._has_topics = routing == "topic"
        self._parted = parted
        self._starts: dict[tuple[int | None, str], str] = {}

    def encode(
        self,
        transaction: str,
        message: NotificationMessage,
        type_name: str,
        event_id: int,
        occurred_on: datetime,
    ) -> bytes:
        """Return the event's frame; :class:`UndeliverableEventError` if it cannot have one."""
        start = self._start
        if message.partition is not None or (self._has_keys and message.routing_key):
            message, start = self._addressed(message, event_id)
        head = self._head(start + transaction, message, type_name, event_id, occurred_on)
        if "\0" in head:
            raise self._undeliverable(event_id, "its type's name or a header holds a NUL character")
        try:
            if characters.has_characters_above(head):
                message, escaped = self._storable(message, event_id)
                head = self._head(start + transaction, message, type_name, event_id, occurred_on)
                head += escaped
            return b"".join((head.encode(), b"\n", message.body, b"\0"))
        except UnicodeEncodeError as error:
            raise self._undeliverable(event_id, f"a header is not valid text ({error})") from error

    def _head(
        self,
        start: str,
        message: NotificationMessage,
        type_name: str,
        event_id: int,
        occurred_on: datetime,
    ) -> str:
        since = occurred_on - _EPOCH
        milliseconds = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
        head = (
            f"{start}\n"
            f"{_constant_headers(type_name, message.content_type)}"
            f"content-length:{len(message.body)}\n"
            f"correlation-id:{event_id}\nevent-id:{event_id}\n"
            f"timestamp:{milliseconds}\n"
            f"occurred_on:{_second(since.days, since.seconds)}.{since.microseconds:06}+00\\c00\n"
        )
        return head + self._headers(message.headers, event_id) if message.headers else head

    def _addressed(
        self, message: NotificationMessage, event_id: int
    ) -> tuple[NotificationMessage, str]:
        """Return the message, and the first lines that hold its routing key and partition."""
        headers, key = message.headers, message.routing_key if self._has_keys else ""
        if (key and routing.KEY in headers) or routing.PARTITION in headers:
            self._refuse_own_names(message, key, event_id)
        if not self._has_topics and characters.has_characters_above(key):
            message = message._replace(headers={**headers, routing.KEY: key})
            key = ""
        start = self._starts.get((message.partition, key))
        return message, start or self._new_start(message.partition, key, event_id)

    def _refuse_own_names(self, message: NotificationMessage, key: str, event_id: int) -> None:
        own = {routing.KEY: key or None, routing.PARTITION: message.partition}
        for name, value in own.items():
            if value is not None and name in message.headers:
                raise self._undeliverable(
                    event_id,
                    f"its header {name!r} is the one that its own {name} travels as. Name the "
                    "header otherwise",
                )

    def _new_start(self, partition: int | None, key: str, event_id: int) -> str:
        """Return the first lines for a partition and a key; they are checked once and kept."""
        destination = self._destination
        if self._parted and partition is not None:
            destination = f"{destination}.{partition}"
        if self._has_topics and key:
            try:
                routing.check_key(key)
            except ValueError as error:
                raise self._undeliverable(event_id, str(error)) from error
            destination = f"{destination}.{key}"
        own = (
            ""
            if partition is None
            else f"JMSXGroupID:{partition}\n{routing.PARTITION}:{partition}\n"
        )
        own += f"{routing.KEY}:{escape(key)}\n" if key else ""
        for line in (f"destination:{escape(destination)}\n", own):
            if len(line.encode("utf-8", "surrogatepass")) > MAX_HEADER_LINE:
                raise self._undeliverable(
                    event_id,
                    f"its routing key takes more than the {MAX_HEADER_LINE:,} bytes that ActiveMQ "
                    "takes in a header, or in the name of a topic. Make the routing key shorter",
                )
        if len(self._starts) >= _KEPT_STARTS:
            self._starts.clear()
        start = self._starts[partition, key] = _start(destination, own)
        return start

    def _storable(
        self, message: NotificationMessage, event_id: int
    ) -> tuple[NotificationMessage, str]:
        """Return a message that the broker can keep, and the header line that says how.

        The type needs no help: the broker keeps it as a field, in which every character is safe.
        """
        try:
            kept, names = characters.escaped(
                {"content-type": message.content_type, **message.headers}
            )
        except ValueError as error:
            raise self._undeliverable(event_id, str(error)) from error
        content_type = kept.pop("content-type")
        line = f"{characters.ESCAPED}:{escape(names)}\n" if names else ""
        return message._replace(content_type=content_type, headers=kept), line

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


def _start(destination: str, own: str = "") -> str:
    return f"SEND\ndestination:{escape(destination)}\n{own}persistent:true\ntransaction:"


@lru_cache(maxsize=4096)
def _constant_headers(type_name: str, content_type: str) -> str:
    kind = f"content-type:{escape(content_type)}\n" if content_type else ""
    return f"type:{escape(type_name)}\n{kind}"


@lru_cache(maxsize=4096)
def _second(days: int, seconds: int) -> str:
    """Return a second since 1970, in UTC, as it stands in a header."""
    moment = (_EPOCH + timedelta(days, seconds)).replace(tzinfo=None)
    return moment.isoformat().replace(":", "\\c")
