"""What an independent reader of the broker found, judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Verdict:
    """What became of the events that were stored."""

    sent: int
    lost: int
    duplicated: int
    reordered: int
    """First deliveries that came after one with a greater id."""
    longest_repeat: int = 0
    """The most duplicates in one ascending run: what one step back republished."""
    unknown: int = 0
    """What arrived and was never stored."""


def judge(stored: Sequence[int], arrived: Sequence[int]) -> Verdict:
    """Compare what was stored, ascending, with what arrived, in the order of arrival."""
    seen: set[int] = set()
    newest = last = duplicated = reordered = run = longest = 0
    for event_id in arrived:
        if event_id in seen:
            duplicated += 1
            run = run + 1 if event_id > last else 1
            longest = max(longest, run)
        else:
            seen.add(event_id)
            reordered += event_id < newest
            newest = max(newest, event_id)
            run = 0
        last = event_id
    known = set(stored)
    return Verdict(
        sent=len(stored),
        lost=len(known - seen),
        duplicated=duplicated,
        reordered=reordered,
        longest_repeat=longest,
        unknown=len(seen - known),
    )
