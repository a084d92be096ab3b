"""Which state an exchange is in once something has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.errors import (
    BrokerMismatchError,
    NotYetStoredError,
    PositionMismatchError,
    UndeliverableEventError,
)

if TYPE_CHECKING:
    from tidings.interfaces.exchange_state import ExchangeState


def state_after(error: Exception) -> ExchangeState:
    """Return the state of an exchange whose relay has met ``error``, and tries again."""
    if isinstance(error, NotYetStoredError):
        return "waiting"
    if isinstance(error, UndeliverableEventError | BrokerMismatchError):
        return "stopped"
    return "mismatch" if isinstance(error, PositionMismatchError) else "failing"
