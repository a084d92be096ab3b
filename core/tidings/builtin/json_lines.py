"""Notifications as JSON Lines, into a file or to standard output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from tidings.builtin import json_line
from tidings.builtin.json_lines_file import LinesFile, write_all
from tidings.errors import BrokerRefusedError, BrokerUnavailableError
from tidings.interfaces import MessageProducer, Notification, Position
from tidings.plugins.specs import Settings

if TYPE_CHECKING:
    from datetime import datetime

    from tidings.interfaces import NotificationMessage

_FLUSH_AT = 256 * 1024
_REFUSALS = (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)


class JsonLinesSettings(Settings):
    """Where the lines go."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="The file to append to; {exchange} in it becomes the exchange's name. "
        "Standard output where there is none.",
    )


class JsonLinesProducer(MessageProducer):
    """Appends each notification as one line of JSON.

    A line holds ``exchange``, ``event_id``, ``type_name``, ``occurred_on``, ``aggregate_id`` and
    ``metadata`` where the event has them, and ``body``.

    A file: accepted means written and synced to the disk. The file itself remembers the newest id,
    so nothing is written twice after a crash; a line that a crash cut short is removed before the
    next one is appended. Standard output: accepted means handed to the operating system; it
    remembers nothing.
    """

    def __init__(self, settings: JsonLinesSettings) -> None:
        self._path = settings.path
        self._open: dict[str, _Lines] = {}

    def open(self, exchange_name: str, position: Position = Position()) -> None:  # noqa: B008
        """Open the file, and mend its end where a crash cut it."""
        if exchange_name in self._open:
            raise RuntimeError(f"Exchange {exchange_name!r} is open already; close it first.")
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
            Notification(
                notification_message, notification_type, notification_id, notification_occurred_on
            )
        )

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:  # noqa: ARG002
        """Write, and sync to the disk."""
        self._lines(exchange_name).flush()

    def accepted_id(self, exchange_name: str) -> int | None:
        """Return the last id written and synced."""
        return self._lines(exchange_name).accepted_id

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
            raise RuntimeError(
                f"Exchange {exchange_name!r} is not open; call open() first."
            ) from None


class _Lines:
    """The lines of one exchange."""

    def __init__(self, exchange_name: str, path: str | None, generation: int) -> None:
        self._exchange_name = exchange_name
        self._path = Path(path.replace("{exchange}", exchange_name)) if path else None
        self._generation = generation
        self._file: LinesFile | None = None
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._pending_id: int | None = None
        self.accepted_id: int | None = None

    def connect(self) -> None:
        try:
            if self._path is None:
                self._standard_output()
            else:
                self._file = LinesFile(self._path)
        except _REFUSALS as error:
            raise BrokerRefusedError(
                f"{self._cannot_write(error)} Change `path`, or the permissions.",
                exchange_name=self._exchange_name,
            ) from error
        except OSError as error:
            raise self._unavailable(error) from error

    def add(self, notification: Notification) -> None:
        line = json_line.line(self._exchange_name, self._generation, notification)
        self._pending.append(line)
        self._pending_size += len(line)
        self._pending_id = notification.event_id
        if self._pending_size >= _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        if self._pending_id is None:
            return
        data = b"".join(self._pending)
        try:
            if self._file is None:
                write_all(self._standard_output(), data)
            else:
                self._file.append(data)
        except OSError as error:
            raise self._unavailable(error) from error
        self.accepted_id = self._pending_id
        self._pending, self._pending_size, self._pending_id = [], 0, None

    def newest_id(self) -> int | None:
        if self._file is None:
            return None
        beginning = json_line.beginning(self._exchange_name)
        for line in self._file.lines_backwards():
            if line.startswith(beginning):
                return json_line.event_id_of(line, self._generation)
        return None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _standard_output(self) -> int:
        try:
            sys.stdout.flush()  # what was printed before stays before
            return sys.stdout.fileno()
        except (AttributeError, ValueError) as error:  # there is none, or it is no real one
            raise BrokerRefusedError(
                f"Exchange {self._exchange_name!r}: there is no standard output to write to. "
                "Set the producer's `path`.",
                exchange_name=self._exchange_name,
            ) from error

    def _cannot_write(self, error: OSError) -> str:
        where = self._path or "standard output"
        return f"Exchange {self._exchange_name!r}: cannot write to {where}: {error.strerror}."

    def _unavailable(self, error: OSError) -> BrokerUnavailableError:
        return BrokerUnavailableError(
            self._cannot_write(error),
            exchange_name=self._exchange_name,
            event_id=self._pending_id,
        )
