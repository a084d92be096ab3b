"""How far an exchange has got, and the right to move it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Position(NamedTuple):
    """How far an exchange has got."""

    event_id: int = 0
    """The newest event that the broker has accepted; 0 before the first."""

    generation: int = 0
    """Which replay of the exchange this comes after: 0 before the first, and greater with each. At
    most ``MAX_EVENT_ID``: brokers keep it in 64 bits, too. What a broker remembers of another
    generation says nothing about this one."""

    store: str = ""
    """Which event store it is a position in: its :meth:`EventStore.identity`. Empty if that has
    none. Empty in what a tracker returns: whoever opens a producer fills it in."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to move one exchange's position, until it expires or is taken."""

    exchange_name: str
    owner: str
    epoch: int
    """The fencing token: grows with each holder; every move of the position compares it."""
    seconds: float
    """How long it runs from each renewal, by the tracker's clock."""
    position: Position
    """Where the exchange stood when the lease was taken."""
    fingerprint: str | None
    """:func:`fingerprint` of the event at that position, or ``None`` before the first."""
    taken_from: str | None = None
    """Who had the lease before, and had not given it back: it ran out, or its holder is known to
    be dead. ``None`` if there was nobody else, or the tracker cannot say."""
