"""Many messages under way at once, and no more than a window of them."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from tidings.plugins import DeliveryError
from tidings_rabbitmq.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.plugins import NotAcceptedError

PIECE_MESSAGES = 200
PIECE_BYTES = 128 * 1024
"""How many messages, or how much of them, go to the socket at once."""

UNSENT_BYTES = 4 * 1024 * 1024
"""How much we encode ahead of the socket: memory stays flat with large bodies."""

SETTLE_SECONDS = 1.0
"""How long we wait for the confirms of what was sent before a refused message."""


class Link(Protocol):
    """The connection that messages go out on. Its calls raise ``DeliveryError``."""

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not taken yet."""

    def write(self, messages: Sequence[bytes]) -> None:
        """Queue encoded messages."""

    def step(self, seconds: float) -> None:
        """Read and write; wait up to ``seconds`` for something to do."""

    def check(self) -> None:
        """Raise what went wrong, if anything did."""

    def fail_silent(self, doing: str, seconds: float) -> None:
        """Give up, because the broker did not answer for so long; raises."""


class Pipeline:
    """Sends, and waits for the broker's word, with a limit on waiting in vain."""

    def __init__(self, link: Link, window_size: int, no_progress_timeout: float) -> None:
        self.window = Window()
        self._link = link
        self._window_size = window_size
        self._no_progress_timeout = no_progress_timeout
        self._refusal: NotAcceptedError | None = None
        self._piece: list[bytes] = []
        self._piece_size = 0
        self._piece_messages = min(PIECE_MESSAGES, max(window_size // 2, 1))
        self._progress = time.monotonic()
        self._least_unsent = 0

    def send(self, event_id: int, size: int, encoded: bytes) -> None:
        """Take an encoded message with a body of ``size``; block while the window is full."""
        if len(self.window) >= self._window_size:
            self._make_room()
        if not self.window:
            self.note_progress()
        self.window.add(event_id, size)
        self._piece.append(encoded)
        self._piece_size += len(encoded)
        if len(self._piece) >= self._piece_messages or self._piece_size >= PIECE_BYTES:
            self._write()
            self._step(0)
            while self._link.unsent > UNSENT_BYTES:
                self._step_while_owed()

    def flush(self, timeout: float | None) -> None:
        """Return when everything sent was confirmed."""
        self.check()
        self._write()
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.window:
            self._step_while_owed(deadline)
            if self.window and deadline is not None and time.monotonic() >= deadline:
                self._link.fail_silent(self._owed(), timeout or 0)

    def wait(self, seconds: float) -> None:
        """Keep the link alive for so long, or until the last confirm has come in."""
        self.check()
        self._write()
        owed = bool(self.window)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and (self.window or not owed):
            if owed:
                self._step_while_owed(end)
            else:
                self._step(left)

    def note_progress(self) -> None:
        """Note that the broker is alive and takes what we send."""
        self._progress = time.monotonic()

    def refuse(self, error: NotAcceptedError) -> None:
        """Note that the broker refused a message: the first of them is what failed."""
        if self._refusal is None or (error.event_id or 0) < (self._refusal.event_id or 0):
            self._refusal = error

    def check(self) -> None:
        """Raise what went wrong, if anything did."""
        if self._refusal is not None:
            self._settle()
            raise self._refusal
        self._link.check()

    def _make_room(self) -> None:
        self._write()
        while len(self.window) > self._window_size - self._piece_messages:
            self._step_while_owed()

    def _write(self) -> None:
        if self._piece:
            self._link.write(self._piece)
            self._piece.clear()
            self._piece_size = 0
            self._least_unsent = self._link.unsent

    def _step(self, seconds: float) -> None:
        with suppress(DeliveryError):
            self._link.step(seconds)
        self.check()
        # Less than ever since the last write: heartbeats, which come and go, are no progress.
        if self._link.unsent < self._least_unsent:
            self._least_unsent = self._link.unsent
            self.note_progress()

    def _step_while_owed(self, deadline: float | None = None) -> None:
        silent = self._progress + self._no_progress_timeout
        self._step((silent if deadline is None else min(silent, deadline)) - time.monotonic())
        if self.window and time.monotonic() >= self._progress + self._no_progress_timeout:
            self._link.fail_silent(self._owed(), self._no_progress_timeout)

    def _owed(self) -> str:
        return f"{len(self.window)} messages unconfirmed, the first is event " + str(
            self.window.oldest_id
        )

    def _settle(self) -> None:
        """Hear what becomes of the messages before the refused one, lest they are sent again."""
        end = time.monotonic() + SETTLE_SECONDS
        with suppress(DeliveryError):
            while not self.window.is_settled and (left := end - time.monotonic()) > 0:
                self._link.step(left)
