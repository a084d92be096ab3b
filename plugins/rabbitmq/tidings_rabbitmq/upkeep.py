"""What was made sure of when the exchange was opened is not taken for granted while it is open."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tidings.plugins import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings_rabbitmq.connection import AmqpConnection
    from tidings_rabbitmq.layout import QueueLayout

LOOK_SECONDS = 10.0


def keep(connection: AmqpConnection, layout: QueueLayout) -> None:
    """Look every ``LOOK_SECONDS``, and from now on, whether the queues are there, and bind them.

    Each with its routing keys; without any, it is looked at only.

    The broker says of a message only that it has reached *a* queue. If other queues are bound,
    nothing else tells that ours was deleted, or has expired. If it is gone, the broker closes the
    channel, and the connection's ``failure`` says so. A queue that is looked at doesn't expire.
    """
    if layout.queues:
        _look_in(LOOK_SECONDS, connection, layout)


def _look_in(seconds: float, connection: AmqpConnection, layout: QueueLayout) -> None:
    connection.call_later(max(seconds, 0.0), partial(_look, connection, layout))


def _look(connection: AmqpConnection, layout: QueueLayout) -> None:
    channel, begun = connection.channel, time.monotonic()

    def again() -> None:
        # An idle relay hears the answer at its next step, which may be seconds later.
        _look_in(begun + LOOK_SECONDS - time.monotonic(), connection, layout)

    for subscriber in layout.queues:
        for bind in layout.bindings_of(subscriber, connection.exchange_name):
            # Without an answer: it is done before what follows, and a failure closes the channel.
            with suppress(DeliveryError):
                connection.start(getattr(channel, bind.method), **bind.arguments)
    names = [name for subscriber in layout.queues for name in layout.queues_of(subscriber)]
    declare = channel.queue_declare
    calls = [partial(declare, queue=name, passive=True) for name in names]
    call_in_turn(connection, calls, again)


def call_in_turn(
    connection: AmqpConnection, calls: Sequence[Callable[..., object]], done: Callable[[], None]
) -> None:
    """Make one call after the other, each once the last was answered; then call ``done``."""

    def answered(_answer: object = None, place: int = 0) -> None:
        if place == len(calls):
            done()
            return
        with suppress(DeliveryError):  # it is kept, and raised by the next call
            connection.start(calls[place], callback=partial(answered, place=place + 1))

    answered()
