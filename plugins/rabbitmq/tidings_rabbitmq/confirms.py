"""A confirm counts once our own queues were seen to be there after it."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING

from tidings_rabbitmq.upkeep import call_in_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings_rabbitmq.connection import AmqpConnection
    from tidings_rabbitmq.unconfirmed import Unconfirmed

LOOKS_IN_A_WINDOW = 4
"""How often one looks, at the least, while a window of messages goes through."""
LOOK_AGAIN = 0.02
"""Seconds after which one looks again, however few messages there were."""


class Confirms:
    """Hands the broker's confirms on, once the queues were looked at.

    A confirm says that the message has reached *a* queue. If other queues are bound, it says
    nothing of ours: that may have been deleted, or lie on a node that is down. RabbitMQ
    does one after the other what comes on a channel. So a queue that is looked for behind a message
    was there for it, unless somebody has deleted and declared it meanwhile. If it isn't there, the
    broker closes the channel: what it has confirmed since the last look is sent again.

    One look is under way at a time, and it is for all that was sent by then. Without queues every
    confirm counts at once.
    """

    def __init__(
        self,
        connection: AmqpConnection,
        unconfirmed: Unconfirmed,
        queues: Sequence[str],
        most: int,
    ) -> None:
        """Take the queues, and how many messages a window has."""
        self._connection = connection
        self._unconfirmed = unconfirmed
        self._queues = queues
        self._enough = max(most // LOOKS_IN_A_WINDOW, 1)
        self._waiting: list[tuple[int, bool]] = []
        self._newest = 0
        self._seen = 0
        """The last message that the queues were there for, by its tag."""
        self._is_looking = False
        self._looked_at = -math.inf
        self._in_a_hurry = False

    def confirmed(self, tag: int, *, multiple: bool) -> None:
        """Take a confirm for ``tag``, or for all up to it."""
        if not self._queues or tag <= self._seen:
            self._unconfirmed.accept(tag, multiple=multiple)
            return
        if multiple and self._seen:
            self._unconfirmed.accept(self._seen, multiple=True)
        self._waiting.append((tag, multiple))
        self._newest = max(self._newest, tag)
        self._look_if_due()

    def hurry(self) -> None:
        """Look at once, from now on: a message was refused, and what came before it may be told."""
        self._in_a_hurry = True
        self._look_if_due()

    def _look_if_due(self) -> None:
        last = self._unconfirmed.last_tag
        is_due = (
            self._in_a_hurry
            or self._newest >= last
            or self._newest - self._seen >= self._enough
            or time.monotonic() - self._looked_at >= LOOK_AGAIN
        )
        if not self._waiting or self._is_looking or not is_due:
            return
        self._is_looking, self._looked_at = True, time.monotonic()
        declare = self._connection.channel.queue_declare
        calls = [partial(declare, queue=name, passive=True) for name in self._queues]
        call_in_turn(self._connection, calls, partial(self._were_there, last))

    def _were_there(self, last: int) -> None:
        self._is_looking, self._seen = False, last
        waiting, self._waiting = self._waiting, []
        for tag, multiple in waiting:
            self.confirmed(tag, multiple=multiple)
