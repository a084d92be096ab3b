"""What keeps which exchanges are paused."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime


class Pause(NamedTuple):
    """Why an exchange is not carried, though relays run."""

    paused_by: str
    """Which person, and on which machine."""
    reason: str | None
    """What that person said."""
    paused_on: datetime
    """Since when: UTC."""


class Pauses:
    """The part of a tracker that keeps which exchanges are paused.

    Its methods are called only if the tracker declares ``Capability.PAUSE``.

    A pause survives restarts, of relays and of the tracker, and a replay. It takes no lease away.
    The relay that carries the exchange looks every second or two, finishes what is in flight, and
    gives its lease back.

    **Durability**, **Threads** and **Errors** are those of the tracker.
    """

    def pause(self, exchange_name: str, pause: Pause) -> bool:
        """Let no relay carry the exchange, until :meth:`resume`; return whether that is new.

        If it is paused already, it stays so for the reason of the first.
        """
        raise NotImplementedError

    def resume(self, exchange_name: str) -> bool:
        """Let relays carry the exchange again; return whether it was paused."""
        raise NotImplementedError

    def paused_exchanges(self) -> Collection[str]:
        """Return the names of the exchanges that are paused; costs no more than those.

        A relay asks once a second, for all its exchanges.
        """
        raise NotImplementedError

    def paused(self, exchange_name: str) -> Pause | None:
        """Return why the exchange is paused; ``None`` if it isn't. Costs one look at a row."""
        raise NotImplementedError
