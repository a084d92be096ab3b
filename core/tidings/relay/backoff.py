"""When to try again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

FIRST_TRANSIENT, LONGEST_TRANSIENT = 0.2, 10.0
FIRST_LASTING, LONGEST_LASTING = 2.0, 25.0


@dataclass(slots=True)
class Backoff:
    """Exponential backoff with jitter: the upper half of each delay is random.

    What is transient is tried again soon, and at least every ten seconds. What somebody has to
    mend is tried at growing intervals, up to 25 seconds. If one kind follows the other, the
    intervals begin anew.
    """

    _failures: int = 0
    _transient: bool = True
    _random: random.Random = field(default_factory=random.Random)

    def next(self, *, transient: bool) -> float:
        """Return the seconds to wait before the next try."""
        first, longest = (
            (FIRST_TRANSIENT, LONGEST_TRANSIENT) if transient else (FIRST_LASTING, LONGEST_LASTING)
        )
        if transient != self._transient:
            self._transient, self._failures = transient, 0
        ceiling = min(first * 2.0 ** min(self._failures, 30), longest)
        self._failures += 1
        return self._random.uniform(ceiling / 2, ceiling)

    def reset(self) -> None:
        """Begin again: it has worked."""
        self._failures = 0
