"""Which frames a subscriber takes: the law that makes its feed ascending and gapless."""

from __future__ import annotations

import enum
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidings_zeromq.wire import Head


class Verdict(enum.Enum):
    """What to do with a frame."""

    TAKE = "take"
    """Next in the feed: of its events, those newer than the last."""
    BEGIN = "begin"
    """The relay confirms the feed; events follow."""
    OMISSION = "omission"
    """What comes next was not asked for."""
    REFUSAL = "refusal"
    """The relay begins no feed."""
    GAP = "gap"
    """The relay has not everything that follows: it was deleted."""
    DROP = "drop"
    """Of an earlier feed."""
    HOLE = "hole"
    """Something before it is missing: ask again."""


class Sequence:
    """The feed as one subscriber has it.

    Frames of an honest relay may be dropped, repeated or delayed. All the same, the events for
    which :meth:`take` is true ascend, without repeats, and leave out none that the relay has
    between them.
    """

    def __init__(self, last_id: int | None) -> None:
        self.last_id = last_id
        """The newest event taken or left out; ``None`` until the relay says where it begins."""
        self.nonce = secrets.randbits(64)

    def renew(self) -> None:
        """Begin a new feed: frames of the one before are dropped from now on."""
        self.nonce = secrets.randbits(64)

    def judge(self, head: Head) -> Verdict:
        """Say what to do with a frame of that head; changes nothing."""
        if head.nonce != self.nonce:
            return Verdict.DROP
        if head.refusal:
            return Verdict.REFUSAL
        if head.is_gap:
            return Verdict.GAP
        omits = head.omitted_id is not None
        if not (head.has_events or omits):
            return Verdict.BEGIN
        if self.last_id is None or head.previous_id > self.last_id:
            return Verdict.HOLE
        return Verdict.OMISSION if omits else Verdict.TAKE

    def begin(self, head: Head) -> None:
        """Take the relay's word for where the feed begins, if we named no id."""
        if self.last_id is None:
            self.last_id = head.previous_id

    def take(self, event_id: int) -> bool:
        """Move on to the next event of a frame that was judged ``TAKE``; false if it is here."""
        if self.last_id is not None and event_id <= self.last_id:
            return False
        self.last_id = event_id
        return True
