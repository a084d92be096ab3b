"""A histogram that takes a whole batch at once."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate


class Histogram:
    """Counts events by how long they took.

    Not the library's own, which is told of one value at a time: an exchange's thread would pay for
    each event.

    **Threads.** One thread adds, any may read.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Take the upper bounds, ascending; one without an end is added."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float, count: int) -> None:
        """Count so many events that took so long."""
        self._counts[bisect_left(self._bounds, seconds)] += count
        self._sum += seconds * count

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """Return the buckets, each with the name of its bound and with all below it; and the sum.

        The two belong together as closely as a scrape needs: a batch may be in one, and not yet in
        the other.
        """
        names = [*(str(bound) for bound in self._bounds), "+Inf"]
        counts = [float(count) for count in accumulate(self._counts)]
        return list(zip(names, counts, strict=True)), self._sum
