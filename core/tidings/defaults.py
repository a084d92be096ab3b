"""What holds unless a configuration file, or who makes the parts by hand, says otherwise."""

from __future__ import annotations

BATCH_SIZE = 1000
"""How many events an exchange reads at a time, at most."""

LEASE_SECONDS: float = 15
"""How long a dead relay keeps those on other machines from taking over."""

POLL_SECONDS = 0.1
"""The longest delay between two looks for events while exchanges are idle."""

JOURNAL_ENTRIES = 10_000
"""How many entries the journal keeps."""

JOURNAL_DAYS: float = 90
"""How long the journal keeps an entry."""
