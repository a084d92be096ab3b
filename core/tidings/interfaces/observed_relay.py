"""What an observer may ask, and what it may show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an exchange has got, by its event store and the tracker, whichever relay works."""

    position: int
    """The newest event that the broker has accepted; 0 before the first."""

    newest_event_id: int
    """0 in an empty store."""

    events_behind: int
    """How many events are stored behind the position: 0 if the exchange has had everything. Beyond
    10,000 it is how far their ids go, which is as many or more."""

    seconds_behind: float
    """Since the oldest of these occurred, or the transaction began that holds them up; at least
    0."""

    quarantined: int
    """How many of its events are in quarantine."""

    events_behind_is_exact: bool = True
    """Whether they were counted."""


@dataclass(frozen=True, slots=True)
class ObservedRelay:
    """What an observer may ask about the relay that it hears of. Any thread may ask."""

    producers: Mapping[str, str]
    """Every configured exchange, and the backend that carries it: ``{"orders": "rabbitmq"}``."""

    look: Callable[[Iterable[str]], Iterator[tuple[str, Standing]]]
    """``(exchange_names)``: look into the event stores and the tracker now, through connections of
    its own, one to each, which are closed at the end. Gives each exchange as soon as it is known,
    and leaves out those of which it cannot be found out. May take as long as the databases do:
    never call it from what an observer hears, because the exchange waits."""

    windows: Mapping[str, int] = field(default_factory=dict)
    """How many events an exchange's producer lets be in flight, of the exchanges that are made by
    now and whose producer says so."""


@dataclass(frozen=True, slots=True)
class Exposition:
    """What an observer shows to those who ask over HTTP for ``/metrics``."""

    content_type: str
    body: bytes
