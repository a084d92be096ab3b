"""Notes in the journal what a relay does with one exchange."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from tidings.blame import sentence_of
from tidings.errors import LeaseLostError
from tidings.interfaces import JournalEntry, Observer, state_after
from tidings.relay.owner import label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidings.interfaces import ExchangeState, Hold, Lease, Pause
    from tidings.relay.journal_writer import JournalWriter
    from tidings.relay.owner import Owner
    from tidings.relay.route import Route

LONGEST_DETAIL = 2000
MOST_ALIKE = 10
"""How often the same is noted within :data:`ALIKE_SECONDS`; a failure that goes on, once."""
ALIKE_SECONDS = 3600.0
MOST_KINDS = 1000
_WORDS: Final[Mapping[ExchangeState, str]] = {"waiting": "waits", "stopped": "stopped"}
"""What is noted if a run fails; ``failed`` if it is none of these."""
_WITH_DIGITS = re.compile(r"\w*\d\w*")


class Journaled(Observer):
    """Notes what people look back for: beginnings and ends, never a batch.

    **Threads.** Told by the exchange's thread, and by one at a time.
    """

    def __init__(self, route: Route, owner: Owner, writer: JournalWriter) -> None:
        self._route = route
        self._owner = owner
        self._writer = writer
        self._repeats = Repeats()
        self._carries = False
        self._fails_with: tuple[str, str] | None = None
        self._noted_failure = False

    @override
    def started(self, exchange_name: str) -> None:
        self._note("started")

    @override
    def ended(self, exchange_name: str, error: Exception | None) -> None:
        self._note("ended", None if error is None else sentence_of(error))

    @override
    def lease_taken(self, exchange_name: str, lease: Lease) -> None:
        """Note it if it is news: each new try after a failure takes the lease, too."""
        if lease.taken_from is not None:
            self._note("lease taken", f"from {label(lease.taken_from)}, who had not given it back")
        elif not self._carries:
            self._note("lease taken")
        self._carries = True

    @override
    def lease_lost(self, exchange_name: str) -> None:
        self._carries = False
        self._note("lease lost")

    @override
    def standing_by(self, exchange_name: str, owner: str) -> None:
        self._carries = False
        self._fails_with = None
        self._note("standing by", f"relayed by {label(owner)}")

    @override
    def unroutable(self, exchange_name: str, count: int) -> None:
        """Note it once an hour at most: it is allowed, and may be so for every batch."""
        self._note("unroutable", f"{count} event(s) reached nobody", most=1)

    @override
    def held(self, exchange_name: str, hold: Hold) -> None:
        self._note("held", f"waits for event {hold.missing_id}, which {hold.holder} may commit")

    @override
    def no_longer_held(self, exchange_name: str, missing_id: int, seconds: float) -> None:
        self._note("no longer held", f"by event {missing_id}, after {seconds:.1f} s")

    @override
    def quarantined(self, exchange_name: str, event_id: int, reason: str) -> None:
        self._note("quarantined", f"event {event_id}: {reason}")

    @override
    def failed(self, exchange_name: str, error: Exception, retry_in: float) -> None:
        """Note a failure once, however often it is tried again."""
        if isinstance(error, LeaseLostError):  # noted already
            return
        what = _word(error)
        sentence = sentence_of(error)
        failure = (what, _kind(sentence))
        most = 1 if failure == self._fails_with else MOST_ALIKE
        self._fails_with = failure
        self._noted_failure = self._note(what, sentence, most) or self._noted_failure

    @override
    def recovered(self, exchange_name: str, seconds: float) -> None:
        self._fails_with = None
        if self._noted_failure:
            self._noted_failure = False
            self._note("works again", f"after {seconds:.1f} s", most=None)

    @override
    def paused(self, exchange_name: str, pause: Pause) -> None:
        self._carries = False
        self._fails_with = None
        self._note("stands paused", f"by {pause.paused_by}")

    @override
    def resumed(self, exchange_name: str) -> None:
        self._note("goes on")

    def _note(self, what: str, detail: str | None = None, most: int | None = MOST_ALIKE) -> bool:
        """Note it, unless the like was noted too often; return whether it was noted."""
        repeated = 0 if most is None else self._repeats.left_out(what, detail or "", most)
        if repeated is None:
            return False
        entry = JournalEntry(
            self._route.exchange_name,
            what,
            str(self._owner),
            detail and detail[:LONGEST_DETAIL],
            datetime.now(UTC),
            repeated,
        )
        self._writer.note(self._route.tracker, self._route.journal, entry)
        return True


class Repeats:
    """Counts what happens again and again, so that it does not fill the journal."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], tuple[float, int, int]] = {}

    def left_out(self, what: str, detail: str, most: int) -> int | None:
        """Return how many like it were left out since the last that was not.

        ``None``: leave it out, because within the window ``most`` were noted.
        """
        kind = (what, _kind(detail))
        now = time.monotonic()
        since, noted, left_out = self._counts.pop(kind, (now, 0, 0))
        if now - since > ALIKE_SECONDS:
            since, noted = now, 0
        news = noted < most
        self._counts[kind] = (since, noted + 1, 0) if news else (since, noted, left_out + 1)
        if len(self._counts) > MOST_KINDS:
            del self._counts[next(iter(self._counts))]
        return left_out if news else None


def _kind(detail: str) -> str:
    """Return what details of one kind have in common: all but their words with digits."""
    return _WITH_DIGITS.sub("#", detail)


def _word(error: Exception) -> str:
    return _WORDS.get(state_after(error), "failed")
