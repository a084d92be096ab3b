"""What happened to exchanges: looking back, and noting what a person did."""

from __future__ import annotations

import getpass
import platform
import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidings.config.relay import MOST_JOURNAL_ENTRIES
from tidings.interfaces import JournalEntry
from tidings.relay.journal_writer import JournalWriter
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidings.bootstrap import Tidings

log = escaping_logger(__name__)

LONGEST_WRITE = 3.0
LOOK_AGAIN = 1.0
LOOK_BACK = 100
"""Entries that are looked at again: one with a lower id may have been committed later."""


def person() -> str:
    """Return who acts: the user of this process, and on which machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in a container
        user = "somebody"
    return f"{user}@{platform.node()[:80]}"


def note(tidings: Tidings, exchange_name: str, what: str, detail: str | None = None) -> None:
    """Note what a person did; what was done stays done if that fails, and the log says so.

    An empty ``exchange_name``: to all exchanges.
    """
    writer = JournalWriter()
    entry = JournalEntry(exchange_name, what, person(), detail, datetime.now(UTC))
    writer.note(tidings.tracker, tidings.journal_bounds, entry)
    if not writer.close(LONGEST_WRITE) and writer.failure is None:
        log.warning(
            "The journal cannot be written: the database did not take it within %d s.",
            LONGEST_WRITE,
        )


def entries(
    tidings: Tidings, exchange_name: str | None, since: datetime | None, limit: int
) -> Sequence[JournalEntry]:
    """Return the newest entries about one exchange, or about any, oldest first."""
    return tidings.journal().journal(exchange_name, since=since, limit=limit)


def check_known(tidings: Tidings, exchange_name: str) -> None:
    """Raise ``ConfigurationError`` if the name is neither configured nor in the journal."""
    if exchange_name not in tidings.configuration.exchanges:
        found = tidings.journal().journal(exchange_name, limit=1)
        if not found:
            tidings.configuration.exchange(exchange_name)  # which says what there is


def followed(
    tidings: Tidings, exchange_name: str | None, since: datetime | None, limit: int
) -> Iterator[JournalEntry]:
    """Give the same, and then every entry that comes, without an end."""
    found = entries(tidings, exchange_name, since, max(limit, LOOK_BACK))
    # What is older than the limit is not given, and is not new when it is looked at again.
    seen = deque((entry.entry_id for entry in found[:-limit]), maxlen=2 * LOOK_BACK)
    found = found[-limit:]
    newest = 0
    while True:
        for entry in found:
            if entry.entry_id not in seen:
                seen.append(entry.entry_id)
                newest = max(newest, entry.entry_id)
                yield entry
        time.sleep(LOOK_AGAIN)
        after = max(newest - LOOK_BACK, 0)
        found = [
            entry
            for entry in tidings.journal().journal(
                exchange_name, since=since, after=after, limit=MOST_JOURNAL_ENTRIES
            )
            if entry.entry_id > newest or entry.entry_id not in seen
        ]
