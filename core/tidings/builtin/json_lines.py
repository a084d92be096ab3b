"""Notifications as JSON Lines, into a file or to standard output."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from typing_extensions import override

from tidings import standard_output
from tidings.builtin import json_line
from tidings.builtin.json_lines_file import LinesFile, NotOursError, OvertakenError
from tidings.errors import (
    BrokerRefusedError,
    BrokerUnavailableError,
    DeliveryError,
    ExchangeLockedError,
    OutputClosedError,
)
from tidings.interfaces import Capability, MessageProducer, OpenExchange
from tidings.plugins.specs import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.interfaces import Accepted, ExchangeContext, Notification

_FLUSH_AT = 256 * 1024
_CLOSED = (errno.EPIPE, errno.EBADF)
_REFUSALS = (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)


class JsonLinesSettings(Settings):
    """Where the lines go."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="The file to append to; {exchange} in it becomes the exchange's name. "
        "Standard output if there is none.",
    )


class JsonLinesProducer(MessageProducer):
    """Appends each notification as one line of JSON.

    A line holds ``exchange``, ``event_id``, ``type_name``, ``occurred_on``, ``aggregate_id`` and
    ``metadata`` if the event has them, ``routing_key`` and ``partition`` if they are configured,
    and ``body``.

    A file: accepted means written and synced to the disk, in the file that has the path then. It
    may be renamed away at any time. The file itself remembers the newest id, so nothing is written
    twice. It is not after a crash, and not by a relay that was frozen while another one went on. A
    line of ours that a crash cut short is removed before the next one is appended. Standard output:
    accepted means handed to the operating system; it remembers nothing. The lines of a process's
    exchanges stand there whole, one behind the other. One that was cut short, as by a full disk, is
    ended before the next.
    """

    def __init__(self, settings: JsonLinesSettings) -> None:
        self._path = settings.path
        self.capabilities = frozenset(
            {Capability.OUT_OF_ORDER, Capability.ROUTING, Capability.PARTITIONS}
        )
        if settings.path is not None:
            self.capabilities |= {Capability.MOST_RECENT_ACCEPTED, Capability.REMEMBERS_DURABLY}

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        """Open the file; changes nothing in it."""
        return OpenJsonLinesExchange(context, self._path)


class OpenJsonLinesExchange(OpenExchange):
    """The lines of one exchange."""

    def __init__(self, context: ExchangeContext, path: str | None) -> None:
        self._exchange_name = context.exchange_name
        self._path = Path(path.replace("{exchange}", self._exchange_name)) if path else None
        self._beginning = json_line.beginning(self._exchange_name)
        self._generation = context.position.generation
        self._file: LinesFile | None = None
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._pending_id: int | None = None
        self._accepted_id: int | None = None
        try:
            if self._path is None:
                self._check_standard_output()
            else:
                self._file = LinesFile(self._path, self._beginning)
        except OSError as error:
            raise self._told(error) from error

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        """Add lines to those that the next flush writes."""
        for notification in notifications:
            line = json_line.line(self._exchange_name, self._generation, notification)
            self._pending.append(line)
            self._pending_size += len(line)
            self._pending_id = notification.event_id
            if self._pending_size >= _FLUSH_AT:
                self.flush()

    @override
    def flush(self, timeout: float | None = None) -> None:
        """Write, and sync to the disk."""
        if self._pending_id is None:
            return
        data = b"".join(self._pending)
        try:
            if self._file is None:
                self._check_standard_output()
                standard_output.write_lines(data)
            else:
                self._file.append(data)
        except OSError as error:
            raise self._told(error) from error
        self._accepted_id = self._pending_id
        self._pending, self._pending_size, self._pending_id = [], 0, None

    @override
    def accepted_id(self) -> int | None:
        """Return the last id written and synced."""
        return self._accepted_id

    @override
    def most_recent_accepted(self) -> Accepted | None:
        """Return the event of the file's last line of this exchange."""
        if self._file is None:
            return None
        for line in self._file.lines_backwards():
            if line.startswith(self._beginning):
                try:
                    self._file.sync()
                except OSError as error:
                    raise self._told(error) from error
                return json_line.accepted_of(line)
        return None

    @override
    def close(self) -> None:
        """Close the file; what was not flushed is forgotten."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _check_standard_output(self) -> None:
        try:
            standard_output.descriptor_for_data()
        except (AttributeError, ValueError) as error:  # there is none, or it is no real one
            raise BrokerRefusedError(
                f"Exchange {self._exchange_name!r}: there is no standard output to write to. "
                "Set the producer's `path`.",
                exchange_name=self._exchange_name,
            ) from error

    def _told(self, error: OSError) -> DeliveryError:
        where = self._path or "standard output"
        what = f"Exchange {self._exchange_name!r}: cannot write to {where}: {error.strerror}."
        kind: type[DeliveryError] = BrokerUnavailableError
        if isinstance(error, OvertakenError):
            kind = ExchangeLockedError
            what = (
                f"Exchange {self._exchange_name!r}: another relay has written its events to "
                f"{where} meanwhile. Nothing was written after them. It is opened anew, to go on "
                "behind them."
            )
        elif isinstance(error, NotOursError):
            kind = BrokerRefusedError
            what += " Nothing in it was changed. Change `path`, or end that line with a newline."
        elif self._path is None and error.errno in _CLOSED:
            kind = OutputClosedError
        elif isinstance(error, _REFUSALS):
            kind = BrokerRefusedError
            what += " Change `path`, or the permissions."
        return kind(what, exchange_name=self._exchange_name, event_id=self._pending_id)
