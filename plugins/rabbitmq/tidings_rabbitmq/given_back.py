"""Tells of messages that a quorum queue may be about to drop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.plugins import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

log = escaping_logger("tidings.rabbitmq")

MANY = 10
"""Times that a message was given back: half of what RabbitMQ 4 bears if nobody says otherwise."""

_COUNT = "x-delivery-count"
"""What a quorum queue says of each message that was given back."""


class GivenBack:
    """Logs, once for each opening, that a message was given back often.

    Every consumer that ends, or dies, gives back all that was sent ahead to it. So a crash at one
    message, again and again, counts for those behind it, too. When the queue's ``delivery-limit``
    is passed, it drops a message without a word, unless it has a dead-letter exchange.
    """

    def __init__(self, exchange_name: str) -> None:
        self._exchange_name = exchange_name
        self._told = False

    def look(self, message_id: str, headers: Mapping[str, object]) -> None:
        """Look at a message that has come; must not raise."""
        count = headers.get(_COUNT)
        if self._told or not isinstance(count, int) or count < MANY:
            return
        self._told = True
        log.warning(
            "%s: message %s was given back %d times by consumers that ended without acknowledging "
            "it. A quorum queue drops what is given back too often, in RabbitMQ 4 after 20 times. "
            "Raise its delivery-limit, or lower prefetch: all that is sent ahead counts.",
            self._exchange_name,
            message_id,
            count,
        )
