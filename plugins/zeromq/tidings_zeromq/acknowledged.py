"""How far each subscriber has acknowledged, and how far all that are required have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings_zeromq.wire import NO_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings_zeromq.selection import Selection

_KEPT_NAMES = 1000


class Acknowledged:
    """What the subscribers of one exchange have acknowledged, by name.

    A subscriber whose processes read a partition each stands where the last of its partitions
    does. ``clock`` gives seconds.
    """

    def __init__(
        self, required: Sequence[str], partitions: int, clock: Callable[[], float]
    ) -> None:
        self.everywhere = NO_ID
        """What all required subscribers have acknowledged."""
        self._required = required
        self._partitions = partitions
        self._clock = clock
        self._whole: dict[str, int] = {}
        self._parts: dict[str, list[int]] = {}
        self._advanced_at: dict[tuple[str, int | None], float] = {}
        """When each required reader last acknowledged something new, by the clock."""

    def of(self, name: str, partition: int | None = None) -> int:
        """Return what that subscriber has acknowledged, of one partition or of all."""
        whole, parts = self._whole.get(name, NO_ID), self._parts.get(name)
        if parts is None:
            return whole
        return max(whole, min(parts) if partition is None else parts[partition])

    def advanced_at(self, name: str, event_id: int) -> float:
        """Return when who keeps a required subscriber below that event last got further (0: never).

        By the clock. Of several partitions that are below it, the one counts that has
        stood still for longest.
        """
        whole = self._advanced_at.get((name, None), 0.0)
        below = [
            self._advanced_at.get((name, partition), 0.0)
            for partition, known in enumerate(self._parts.get(name, ()))
            if known < event_id
        ]
        return max(whole, min(below, default=0.0))

    def acknowledge(self, name: str, selection: Selection, event_id: int) -> bool:
        """Take note of an acknowledgement; true if all required ones may have got further."""
        partition = selection.partition
        if event_id <= self.of(name, partition):
            return False
        required = name in self._required
        if not required and len(self._whole) + len(self._parts) > _KEPT_NAMES:
            return False
        if partition is None:
            self._whole[name] = event_id
        else:
            self._parts.setdefault(name, [NO_ID] * self._partitions)[partition] = event_id
        if required:
            self._advanced_at[name, partition] = self._clock()
            self.everywhere = min(map(self.of, self._required))
        return required
