"""What an independent reader of the broker found, judged."""

from __future__ import annotations

from collections import Counter
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


def judge(stored: Sequence[int], arrived: Sequence[int]) -> Verdict:
    """Compare what was stored, ascending, with what arrived, in the order of arrival."""
    counts = Counter(arrived)
    reordered = 0
    newest = 0
    for event_id in dict.fromkeys(arrived):
        reordered += event_id < newest
        newest = max(newest, event_id)
    return Verdict(
        sent=len(stored),
        lost=len(set(stored) - set(counts)),
        duplicated=sum(counts.values()) - len(counts),
        reordered=reordered,
    )
