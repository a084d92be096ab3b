"""The event's own JSON as the message's body."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from tidings.builtin.well_formed import check_json
from tidings.interfaces import NotificationMessage, Serializer
from tidings.plugins.specs import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidings.event import StoredEvent

CONTENT_TYPE: Final = "application/json"
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class JsonSerializerSettings(Settings):
    """The JSON serializer has nothing to set."""


class JsonSerializer(Serializer):
    """Sends the event's body as it is stored, byte for byte.

    What else is known of the event travels beside it. Type, id and time are in the broker's own
    properties; ``aggregate_id`` and ``metadata`` (JSON text) are headers, if the event has them.
    """

    @override
    def serialize(self, event: StoredEvent) -> NotificationMessage:
        """Return the body, checked to be JSON; ``ValueError`` if it is not."""
        check_json(event.body)
        if event.aggregate_id is None and event.metadata is None:
            return NotificationMessage(event.body.encode(), CONTENT_TYPE, _NO_HEADERS)
        headers = {}
        if event.aggregate_id is not None:
            headers["aggregate_id"] = event.aggregate_id
        if event.metadata is not None:
            headers["metadata"] = event.metadata
        return NotificationMessage(event.body.encode(), CONTENT_TYPE, headers)
