"""What travels: an event as a broker gets it, and as a broker remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class NotificationMessage(NamedTuple):
    """What a serializer makes of an event, ready for the wire."""

    body: bytes
    content_type: str
    headers: Mapping[str, str]
    """Texts that travel beside the body: ``aggregate_id``, ``metadata``. Any Unicode text, line
    breaks and quotation marks included. If the protocol cannot hold one, encode it, and decode it
    in the consumer. ``UndeliverableEventError`` is for what no encoding helps, as its length."""
    routing_key: str = ""
    """What the broker's subscribers choose messages by (``Capability.ROUTING``)."""
    partition_key: str | None = None
    """Messages with the same key stay in order, whichever part of the exchange they are in;
    ``None`` without one."""
    partition: int | None = None
    """Which part of the exchange it belongs to (``Capability.PARTITIONS``): from 0 on,
    :func:`partition_of` its key, 0 without one. ``None`` if the exchange is not parted."""


class Notification(NamedTuple):
    """One event, ready to be sent: what :meth:`OpenExchange.send` takes."""

    message: NotificationMessage
    type_name: str
    event_id: int
    occurred_on: datetime


class Accepted(NamedTuple):
    """The newest event that a broker holds from us, as the broker itself remembers it.

    An id alone is never believed: another event store, or one that was restored, may have given it
    to another event. So a broker's memory holds all of this, or as much as it can.
    """

    event_id: int

    fingerprint: str | None = None
    """:func:`fingerprint_of` the event; ``None`` if the broker cannot say."""

    generation: int = 0
    """That of the :class:`Position` at which the exchange stood when the event was sent."""

    store: str = ""
    """The :class:`Position`'s, likewise; empty if the broker cannot say."""
