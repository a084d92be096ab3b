"""How an event becomes a message."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidings.event import StoredEvent
    from tidings.interfaces.notification import NotificationMessage


class Serializer(ABC):
    """Makes a message's body, content type and headers of a stored event.

    **Pure.** The same event gives the same bytes, always; no state, no input or output.

    **Threads.** May be called from any thread.
    """

    @abstractmethod
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        """Return the message for ``event``.

        Raises ``ValueError``, with a reason for a person, if this event cannot be encoded. The
        service names the exchange and the event.
        """
