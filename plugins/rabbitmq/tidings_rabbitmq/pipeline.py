"""Many messages in flight at once, and no more than a window of them."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeAlias

from tidings.plugins import DeliveryError
from tidings_rabbitmq.unconfirmed import Unconfirmed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.plugins import NotAcceptedError

PIECE_MESSAGES = 200
PIECE_BYTES = 256 * 1024
"""How many messages, or how much of them, go to the socket at once."""

UNSENT_BYTES = 4 * 1024 * 1024
"""How much we write ahead of the socket: memory stays flat with large bodies."""

WINDOW_BYTES = 16 * 1024 * 1024
"""How much may be in flight without a confirm, headers and all, one piece aside.

A broker keeps it in memory.
"""

AHEAD_BYTES = 2 * 1024 * 1024
"""How much of what is encoded waits for room in the window; a window of messages at most."""

SETTLE_SECONDS = 3.0
"""How long we wait for the confirms of what was sent before a refused message."""


Buffers: TypeAlias = "tuple[bytes | memoryview, ...]"
"""An encoded message: they are joined only when it is written, lest its body is copied twice."""

_Message: TypeAlias = tuple[int, int, Buffers, int]
"""An event's id, the size of its body, the message, and the size of that."""


class PipelineConnection(Protocol):
    """The connection that messages go out on. Its calls raise ``DeliveryError``."""

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not taken yet."""

    def write(self, messages: Sequence[Buffers]) -> None:
        """Queue encoded messages."""

    def step(self, seconds: float) -> None:
        """Read and write; wait up to ``seconds`` for something to do."""

    def check(self) -> None:
        """Raise what went wrong, if anything did."""

    def fail_silent(self, doing: str, seconds: float) -> None:
        """Give up, because the broker did not answer for so long; raises."""


class Pipeline:
    """Sends, and waits for the broker's word, with a limit on waiting in vain.

    A broker may confirm a whole window at once, and be idle until it has the next one. So the
    messages after the window are taken meanwhile, and go out as soon as there is room. The window
    is bounded in messages, and in bytes.

    ``track``, if there is one, is called in time. Never are more messages than a window in flight
    that are not confirmed, or confirmed and not tracked. What :meth:`accepted_id` told is tracked
    once its caller comes back with any call but :meth:`wait`, which others call meanwhile.
    """

    def __init__(
        self,
        link: PipelineConnection,
        window: int,
        no_progress_timeout: float,
        track: Callable[[], None] | None = None,
    ) -> None:
        self.unconfirmed = Unconfirmed()
        self._link = link
        self._window = window
        self._no_progress_timeout = no_progress_timeout
        self._track = track
        self._told_count = 0
        self._tracked_count = 0
        self._refusal: NotAcceptedError | None = None
        self._ahead: deque[_Message] = deque()
        self._ahead_bytes = 0
        self._new_count = 0
        self._new_bytes = 0
        self._piece_messages = min(PIECE_MESSAGES, max(window // 2, 1))
        self._progress = time.monotonic()
        self._progress_count = 0
        self._least_unsent = 0
        self._had_room = False

    def send(self, event_id: int, body_size: int, encoded: Buffers) -> None:
        """Take an encoded message with a body so large; block while too many wait for room."""
        if self._is_full:
            self._make_room()
        length = 0
        for buffer in encoded:
            length += len(buffer)
        self._ahead.append((event_id, body_size, encoded, length))
        self._ahead_bytes += length
        self._new_count += 1
        self._new_bytes += length
        if self._new_count >= self._piece_messages or self._new_bytes >= PIECE_BYTES:
            self._new_count = self._new_bytes = 0
            self._write()
            self._step(0)

    def flush(self, timeout: float | None) -> None:
        """Return when everything sent was confirmed."""
        self.check()
        deadline = None if timeout is None else time.monotonic() + timeout
        self._write()
        while self.unconfirmed or self._ahead:
            self._step_while_owed(deadline)
            self._write()
            if self.unconfirmed and deadline is not None and time.monotonic() >= deadline:
                self._link.fail_silent(self._owed(), timeout or 0)

    def wait(self, seconds: float) -> None:
        """Keep the link alive for so long, or until the last confirm has come in.

        Has nothing tracked: it is called while somebody waits for the database, too.
        """
        self.check()
        self._write(may_track=False)
        owed = bool(self.unconfirmed)
        end = time.monotonic() + seconds
        while True:
            if owed:
                self._step_while_owed(end)
                self._write(may_track=False)
            else:
                self._step(max(end - time.monotonic(), 0.0))
            if time.monotonic() >= end or (owed and not self.unconfirmed):
                return

    def accepted_id(self) -> int | None:
        """Return the greatest id up to which everything was confirmed."""
        self._tracked_count = self._told_count
        self._told_count = self.unconfirmed.accepted_count
        return self.unconfirmed.accepted_id

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
        self._write()  # perhaps the confirms have come already
        while self._is_full:
            self._step_while_owed()
            self._write()

    def _write(self, *, may_track: bool = True) -> None:
        """Write what there is room for, if it is worth a write."""
        if may_track:
            self._tracked_count = self._told_count
        while self._ahead and self._link.unsent <= UNSENT_BYTES and self._is_light:
            worth = min(len(self._ahead), self._piece_messages)
            if may_track and self._room < worth <= self._room + self._untracked_count:
                self._have_tracked()
            if self._room < worth:
                return
            self._write_piece()

    def _have_tracked(self) -> None:
        """Let what is accepted be tracked; another thread may call :meth:`wait` meanwhile."""
        if self._track is None:
            return
        accepted = self.unconfirmed.accepted_count
        self._track()
        self._tracked_count = self._told_count = max(self._told_count, accepted)

    @property
    def _is_full(self) -> bool:
        return len(self._ahead) >= self._window or self._ahead_bytes >= AHEAD_BYTES

    @property
    def _is_light(self) -> bool:
        return self.unconfirmed.size < WINDOW_BYTES

    @property
    def _room(self) -> int:
        return self._window - len(self.unconfirmed) - self._untracked_count

    @property
    def _untracked_count(self) -> int:
        return self.unconfirmed.accepted_count - self._tracked_count if self._track else 0

    def _write_piece(self) -> None:
        if not self.unconfirmed:
            self._progress = time.monotonic()
        if not self._link.unsent:
            self._had_room = True
        piece: list[Buffers] = []
        size = 0
        most = min(self._room, PIECE_MESSAGES)
        while self._ahead and len(piece) < most and size < PIECE_BYTES:
            event_id, body_size, encoded, length = self._ahead.popleft()
            self.unconfirmed.add(event_id, body_size, length)
            piece.append(encoded)
            size += length
        self._ahead_bytes -= size
        self._link.write(piece)
        self._least_unsent = self._link.unsent

    def _step(self, seconds: float) -> None:
        with suppress(DeliveryError):
            self._link.step(seconds)
        self.check()
        self._note_progress()

    def _note_progress(self) -> None:
        """Note if the broker has accepted something, or taken what had no room until now.

        What is accepted out of its turn is none: the first message still waits. Nor is what the
        socket takes at once, which it does for a frozen broker, too.
        """
        accepted, unsent = self.unconfirmed.accepted_count, self._link.unsent
        # Less than ever since the last write: heartbeats, which come and go, are no progress.
        taken = unsent < self._least_unsent and not self._had_room
        if accepted > self._progress_count or taken:
            self._progress = time.monotonic()
        self._progress_count = accepted
        self._least_unsent = min(self._least_unsent, unsent)
        self._had_room = False

    def _step_while_owed(self, deadline: float | None = None) -> None:
        silent = self._progress + self._no_progress_timeout
        self._step((silent if deadline is None else min(silent, deadline)) - time.monotonic())
        if self.unconfirmed and time.monotonic() >= self._progress + self._no_progress_timeout:
            self._link.fail_silent(self._owed(), self._no_progress_timeout)

    def _owed(self) -> str:
        return f"{len(self.unconfirmed)} messages unconfirmed, the first is event " + str(
            self.unconfirmed.oldest_id
        )

    def _settle(self) -> None:
        """Hear what becomes of the messages before the refused one, lest they are sent again."""
        end = time.monotonic() + SETTLE_SECONDS
        with suppress(DeliveryError):
            while not self.unconfirmed.is_settled and (left := end - time.monotonic()) > 0:
                self._link.step(left)
