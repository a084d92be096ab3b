"""The words for how an exchange is."""

from __future__ import annotations

from typing import Literal, TypeAlias

ExchangeState: TypeAlias = Literal[
    "starting",
    "working",
    "idle",
    "held",
    "standing by",
    "waiting",
    "paused",
    "failing",
    "stopped",
    "mismatch",
    "no relay",
    "ended",
    "dead",
]
"""One word for each state, by whomever it is told. ``docs/glossary.md`` says what each means."""
