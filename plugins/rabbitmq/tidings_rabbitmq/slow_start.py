"""How many messages go out before the first is accepted, once one was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_REFUSED = "refused_id"


class SlowStart:
    """After a refusal lets one message go out, then two, then four, until it is a window.

    One queue is full, say, and the exchange is tried again and again, for hours perhaps. Other
    queues take what follows the refused message. Behind each try that would be a window, once more.
    So no more follows than was accepted before it.

    ``memory`` is the exchange's: it outlives an opening.
    """

    def __init__(self, memory: MutableMapping[str, Any], window: int) -> None:
        self._memory = memory
        self._window = window
        self._since: int | None = memory.get(_REFUSED)
        self._lowest: int | None = None
        self._most = 1
        self._count = 0

    def refused(self, event_id: int | None) -> None:
        """Note that an event was refused, for the next opening."""
        refused = event_id or 0
        self._lowest = refused if self._lowest is None else min(self._lowest, refused)
        self._memory[_REFUSED] = self._lowest

    def ends_round(self, event_id: int) -> bool:
        """Return whether all is to be accepted, this event included, before the next is sent."""
        if self._since is None or event_id < self._since:
            return False
        self._count += 1
        if self._count < self._most:
            return False
        self._count, self._most = 0, self._most * 2
        if self._most >= self._window:
            self._since = None
            self._memory.pop(_REFUSED, None)
        return True
