"""Batches that were sent, until something is known of them."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.trace import Link


@dataclass(slots=True)
class SentBatch:
    """Events that were handed to a producer in one call."""

    ids: Sequence[int]
    began: int
    """Nanoseconds, as ``time.time_ns()`` counts them."""
    links: Sequence[Link]


class BatchesInFlight:
    """The batches of one exchange, in the order in which they were sent.

    **Threads.** Used by the exchange's thread.
    """

    def __init__(self) -> None:
        self._batches: deque[SentBatch] = deque()
        self._accepted_id = 0

    def add(self, batch: SentBatch) -> None:
        """Note the next batch."""
        self._batches.append(batch)

    def cut(self, event_id: int) -> None:
        """Forget that event and those behind it: the producer did not take them, after all."""
        while self._batches and self._batches[-1].ids[-1] >= event_id:
            batch = self._batches[-1]
            batch.ids = batch.ids[: bisect_left(batch.ids, event_id)]
            if batch.ids:
                return
            self._batches.pop()

    def accepted(self, event_id: int) -> None:
        """Note up to where the broker has accepted everything."""
        self._accepted_id = max(self._accepted_id, event_id)

    def take_accepted(self) -> Iterator[SentBatch]:
        """Give each batch of which the broker has accepted every event, and forget it."""
        while self._batches and self._batches[0].ids[-1] <= self._accepted_id:
            yield self._batches.popleft()

    def take_all(self) -> Iterator[SentBatch]:
        """Give all that is left, and begin anew: a replay may send lower ids."""
        while self._batches:
            yield self._batches.popleft()
        self._accepted_id = 0
