"""What tables and schemas may be called."""

from __future__ import annotations

import re

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,50}")


OURS = frozenset(
    {
        "event_append_lock",
        "event_published_message_tracker",
        "idle_relay",
        "relay_journal",
        "inbox",
        "pruned_event",
        "quarantined_event",
        "tidings_schema",
    }
)
"""What tidings calls its other tables; no table of events can have such a name."""


def check_table_name(name: str) -> str:
    """Return ``name`` as :func:`check_name` does; ``ValueError`` also if it is in `OURS`."""
    if name.lower() in OURS:
        raise ValueError(f"{name!r} is the name of another table of tidings: choose another one.")
    return check_name(name)


def check_name(name: str) -> str:
    """Return ``name``; ``ValueError`` if it would have to be quoted in SQL."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be the name of a table or a schema: use up to 51 letters, digits and "
            "underscores, beginning with no digit."
        )
    return name
