"""How long a subscriber hears nothing until it asks."""

from __future__ import annotations

SILENCE = 0.5
"""Seconds without a word from the relay until the subscriber asks again, at the least."""

_LONGEST = 16  # times SILENCE


class Patience:
    """When to ask the relay anew.

    Soon, while answers come soon. Each request makes the relay send once more what is on its way,
    and makes the answer to the one before an old one. So the patience is twice as long as the last
    answer took. It is twice as long again for each request that stays without one, up to a bound.
    """

    def __init__(self) -> None:
        self.asked_at = 0.0
        self.unanswered = 0
        """How many requests since the last answer."""
        self._quiet_since = 0.0
        self._seconds = SILENCE

    @property
    def ends_at(self) -> float:
        """When to ask if nothing is heard until then."""
        return self._quiet_since + self._seconds

    def renew(self) -> None:
        """Begin as if nothing were known: the way to the relay is another one."""
        self._seconds = SILENCE

    def asked(self, now: float) -> None:
        """Note a request."""
        if self.unanswered:
            self._set(2 * self._seconds)
        self.unanswered += 1
        self.asked_at = self._quiet_since = now

    def heard(self, now: float) -> None:
        """Note a word of the relay, be it an old one."""
        self._quiet_since = now

    def answered(self, now: float) -> None:
        """Note the beginning of a feed: the answer to the last request, if that has had none."""
        self._quiet_since = now
        if self.unanswered:  # else the relay has looked whether we are there
            self.unanswered = 0
            self._set(2 * (now - self.asked_at))

    def _set(self, seconds: float) -> None:
        self._seconds = min(max(SILENCE, seconds), _LONGEST * SILENCE)
