"""Letting an exchange stand still, and letting it go on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tidings.interfaces import Pause
from tidings.operations.journal import note, person

if TYPE_CHECKING:
    from tidings.bootstrap import Tidings


def pause(tidings: Tidings, exchange_name: str, reason: str | None) -> bool:
    """Let no relay carry the exchange; return whether that is new."""
    is_new = tidings.pauses().pause(exchange_name, Pause(person(), reason, datetime.now(UTC)))
    if is_new:
        note(tidings, exchange_name, "paused", reason)
    return is_new


def resume(tidings: Tidings, exchange_name: str) -> bool:
    """Let relays carry the exchange again; return whether it was paused."""
    was_paused = tidings.pauses().resume(exchange_name)
    if was_paused:
        note(tidings, exchange_name, "resumed")
    return was_paused
