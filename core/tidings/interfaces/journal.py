"""What keeps what happened to exchanges, and who did it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta


class JournalEntry(NamedTuple):
    """One thing that happened."""

    exchange_name: str
    """To which exchange; empty: to all of them, as when events are pruned."""
    what: str
    """A word or two: ``"failed"``, ``"lease taken"``, ``"replayed"``."""
    who: str
    """Which relay, as in a lease; or which person, and on which machine."""
    detail: str | None
    """The rest, as a sentence: an error's, say."""
    noted_on: datetime
    """When it happened, by the clock of the one who noted it: UTC."""
    repeated: int = 0
    """How often the same happened to the same relay since it was noted last, and was left out."""
    entry_id: int = 0
    """Given by the tracker; ascending, in the order in which entries were kept."""


class Journal:
    """The part of a tracker that keeps what happened.

    Its methods are called only if the tracker declares ``Capability.JOURNAL``.

    For people who look back; no relay depends on it. Whoever writes does so from a thread of its
    own, and goes on if that fails.

    **Durability**, **Threads** and **Errors** are those of the tracker.
    """

    def write_journal(
        self, entries: Sequence[JournalEntry], *, most: int, longest: timedelta
    ) -> None:
        """Keep these entries, in their order, all or none; their ``entry_id`` says nothing yet.

        Then let go of the oldest, so that not more than ``most`` are kept, and none that is older
        than ``longest``. The newest ones stay, whichever exchange they are about.
        """
        raise NotImplementedError

    def journal(
        self,
        exchange_name: str | None = None,
        *,
        since: datetime | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> Sequence[JournalEntry]:
        """Return the newest ``limit`` entries about one exchange, or about any, oldest first.

        ``since``: only those that were noted then or later. ``after``: only those with a greater
        ``entry_id``.
        """
        raise NotImplementedError
