"""Notifications as JSON Lines, into a file or to standard output."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import Field

from tidings.errors import BrokerRefusedError, BrokerUnavailableError
from tidings.event import from_json
from tidings.interfaces import MessageProducer, Position
from tidings.plugins.specs import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tidings.interfaces import NotificationMessage

_FLUSH_AT = 256 * 1024
_BLOCK = 64 * 1024


class JsonLinesSettings(Settings):
    """Where the lines go."""

    path: str | None = Field(
        default=None,
        description="The file to append to; {exchange} in it becomes the exchange's name. "
        "Standard output where there is none.",
    )


class JsonLinesProducer(MessageProducer):
    """Appends each notification as one line of JSON.

    A line holds ``exchange``, ``event_id``, ``type_name``, ``occurred_on``, ``aggregate_id`` and
    ``metadata`` where the event has them, and ``body``.

    A file: accepted means written and synced to the disk. The file itself remembers the newest id,
    so nothing is written twice after a crash; a line that a crash cut short is removed at the next
    ``open``. Standard output: accepted means handed to the operating system; it remembers nothing.
    """

    def __init__(self, settings: JsonLinesSettings) -> None:
        self._path = settings.path
        self._open: dict[str, _Lines] = {}

    def open(self, exchange_name: str, position: Position = Position()) -> None:  # noqa: B008
        """Open the file, and mend its end where a crash cut it."""
        if exchange_name in self._open:
            raise RuntimeError(f"Exchange {exchange_name!r} is open already.")
        lines = _Lines(exchange_name, self._path, position.generation)
        lines.connect()
        self._open[exchange_name] = lines

    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        """Add a line to those that the next flush writes."""
        self._lines(exchange_name).add(
            notification_message, notification_type, notification_id, notification_occurred_on
        )

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:  # noqa: ARG002
        """Write, and sync to the disk."""
        self._lines(exchange_name).flush()

    def accepted_id(self, exchange_name: str) -> int | None:
        """Return the last id written and synced."""
        lines = self._open.get(exchange_name)
        return lines.accepted_id if lines else None

    def most_recent_accepted_id(self, exchange_name: str) -> int | None:
        """Return the id of the file's last line of this exchange and generation."""
        return self._lines(exchange_name).newest_id()

    def close(self, exchange_name: str) -> None:
        """Close the file; what was not flushed is forgotten."""
        if lines := self._open.pop(exchange_name, None):
            lines.close()

    def _lines(self, exchange_name: str) -> _Lines:
        try:
            return self._open[exchange_name]
        except KeyError:
            raise RuntimeError(f"Exchange {exchange_name!r} is not open.") from None


class _Lines:
    """The lines of one exchange."""

    def __init__(self, exchange_name: str, path: str | None, generation: int) -> None:
        self._exchange_name = exchange_name
        self._path = Path(path.replace("{exchange}", exchange_name)) if path else None
        self._generation = generation
        self._file: IO[bytes] | None = None
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._pending_id: int | None = None
        self.accepted_id: int | None = None

    def connect(self) -> None:
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b", buffering=0)
            self._mend()
        except (PermissionError, IsADirectoryError, NotADirectoryError, FileNotFoundError) as error:
            self.close()
            raise BrokerRefusedError(
                f"Exchange {self._exchange_name!r}: cannot write to {self._path}: "
                f"{error.strerror}. Change `path`, or the permissions.",
                exchange_name=self._exchange_name,
            ) from error
        except OSError as error:
            self.close()
            raise self._unavailable(error) from error

    def add(
        self, message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
    ) -> None:
        line = self._line(message, type_name, event_id, occurred_on)
        self._pending.append(line)
        self._pending_size += len(line)
        self._pending_id = event_id
        if self._pending_size >= _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        if self._pending_id is None:
            return
        data = b"".join(self._pending)
        try:
            if self._file is None:
                _write_all(sys.stdout.fileno(), data)
            else:
                self._append(self._file.fileno(), data)
        except OSError as error:
            raise self._unavailable(error) from error
        self.accepted_id = self._pending_id
        self._pending, self._pending_size, self._pending_id = [], 0, None

    def newest_id(self) -> int | None:
        if self._file is None:
            return None
        for line in _lines_backwards(self._file):
            found = _parse(line)
            if found.get("exchange") == self._exchange_name:
                event_id = found.get("event_id")
                same = found.get("generation", 0) == self._generation
                return event_id if same and isinstance(event_id, int) else None
        return None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, descriptor: int, data: bytes) -> None:
        # Other exchanges may append to the same file: the lock keeps lines whole, and an error in
        # the middle (a full disk) is taken back, so that no half line stays.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _mend(self) -> None:
        assert self._file is not None  # noqa: S101 - connect has opened it
        descriptor = self._file.fileno()
        if not os.path.isfile(self._file.name):  # noqa: PTH113 - a pipe or a device has no end
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            end = os.lseek(descriptor, 0, os.SEEK_END)
            whole = _end_of_last_line(self._file, end)
            if whole != end:
                os.ftruncate(descriptor, whole)
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _line(
        self, message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
    ) -> bytes:
        known: dict[str, Any] = {
            "exchange": self._exchange_name,
            "event_id": event_id,
            "type_name": type_name,
            "occurred_on": occurred_on.isoformat(timespec="microseconds"),
        }
        if self._generation:
            known["generation"] = self._generation
        headers = dict(message.headers)
        if "aggregate_id" in headers:
            known["aggregate_id"] = headers.pop("aggregate_id")
        if "metadata" in headers:
            known["metadata"] = _json_or_text(headers.pop("metadata"))
        if headers:
            known["headers"] = headers
        if message.content_type.partition(";")[0].endswith("json"):
            known["body"] = _json_or_text(message.body)
        else:
            known["content_type"] = message.content_type
            known["body_base64"] = base64.b64encode(message.body).decode()
        return json.dumps(known, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def _unavailable(self, error: OSError) -> BrokerUnavailableError:
        where = self._path or "standard output"
        return BrokerUnavailableError(
            f"Exchange {self._exchange_name!r}: cannot write to {where}: {error.strerror}.",
            exchange_name=self._exchange_name,
            event_id=self._pending_id,
        )


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _json_or_text(text: str | bytes) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return text if isinstance(text, str) else text.decode(errors="replace")


def _parse(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _end_of_last_line(file: IO[bytes], end: int) -> int:
    position = end
    while position > 0:
        start = max(position - _BLOCK, 0)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def _lines_backwards(file: IO[bytes]) -> Iterator[bytes]:
    position = file.seek(0, os.SEEK_END)
    rest = b""
    while position > 0:
        start = max(position - _BLOCK, 0)
        file.seek(start)
        block = file.read(position - start) + rest
        rest, *lines = block.split(b"\n")
        yield from (line for line in reversed(lines) if line)
        position = start
    if rest:
        yield rest
