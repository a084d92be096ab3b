"""Events that can never be sent, as far as one run knows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidings.errors import UndeliverableEventError


class Poison:
    """Remembers which events a broker has refused after they were sent.

    A broker that refuses an event so late ends the connection, and what came before the event is
    not accepted yet. So all of it is sent once more, but the refused event is not. If the broker
    doesn't say which event it was, the producer finds out when the same events are sent again.
    """

    def __init__(self) -> None:
        self._refused: dict[int, UndeliverableEventError] = {}
        self._unnamed_at: int | None = None

    def error_of(self, event_id: int) -> UndeliverableEventError | None:
        """Return why that event is not to be sent; ``None`` if nothing is known against it."""
        return self._refused.get(event_id)

    def is_new(self, error: UndeliverableEventError, tracked_id: int) -> bool:
        """Note a refusal; return whether starting over from ``tracked_id`` may help.

        It doesn't if the same was tried before: the event was named already, or was not named
        again.
        """
        if error.event_id is not None:
            known = error.event_id in self._refused
            self._refused[error.event_id] = error
            return not known
        known = self._unnamed_at == tracked_id
        self._unnamed_at = tracked_id
        return not known
