"""What an exchange's name means on the broker."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pika import exceptions

from tidings.plugins import BrokerRefusedError, DeliveryError
from tidings_rabbitmq.failures import NOT_FOUND, PRECONDITION_FAILED, broker_text
from tidings_rabbitmq.settings import SHORT_STRING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidings_rabbitmq.connection import AmqpConnection
    from tidings_rabbitmq.layout import QueueLayout
    from tidings_rabbitmq.settings import RabbitMQSettings

LOCK_SUFFIX = ".relay"
TAIL_SUFFIX = ".tail"
MARKER_SUFFIX = ".marker"

_INEQUIVALENT = re.compile(r"inequivalent arg '([^']*)'")


def check_name(exchange_name: str) -> None:
    """Raise if AMQP cannot hold the names that we make of the exchange's."""
    room = SHORT_STRING - max(map(len, (LOCK_SUFFIX, TAIL_SUFFIX, MARKER_SUFFIX)))
    if not exchange_name or len(exchange_name.encode()) > room:
        raise BrokerRefusedError(
            f"Exchange {exchange_name!r}: its name must have between 1 and {room} bytes for "
            "RabbitMQ. Use a shorter one.",
            exchange_name=exchange_name,
        )


def prepare(connection: AmqpConnection, settings: RabbitMQSettings, layout: QueueLayout) -> None:
    """Make sure of the exchange and of these queues, bound as it says.

    As far as ``topology`` wants: made, looked at, or believed.
    """
    channel, exchange_name = connection.channel, connection.exchange_name
    if settings.topology == "none":
        return
    makes = settings.topology == "declare"
    properties = {"exchange_type": settings.exchange_type, "durable": True} if makes else {}
    connection.call(
        channel.exchange_declare, exchange=exchange_name, passive=not makes, **properties
    )
    for subscriber in layout.queues:
        _check_subscriber(exchange_name, subscriber, layout)
        for name in layout.exchanges_of(subscriber):
            properties = {"exchange_type": "headers", "durable": True} if makes else {}
            connection.call(
                channel.exchange_declare, exchange=name, passive=not makes, **properties
            )
        for name in layout.queues_of(subscriber):
            if not makes:
                connection.call(channel.queue_declare, queue=name, passive=True)
                continue
            arguments = {**settings.declared_arguments, **layout.arguments}
            connection.call(channel.queue_declare, queue=name, durable=True, arguments=arguments)
        for bind in layout.bindings_of(subscriber, exchange_name) if makes else ():
            connection.call(getattr(channel, bind.method), **bind.arguments)


def _check_subscriber(exchange_name: str, subscriber: str, layout: QueueLayout) -> None:
    names = [*layout.exchanges_of(subscriber), *layout.queues_of(subscriber)]
    longest = max(len(name.encode()) for name in names)
    if longest > SHORT_STRING:
        raise BrokerRefusedError(
            f"Exchange {exchange_name!r}: the subscriber {subscriber[:40]!r}... has a name that is "
            f"too long for RabbitMQ: with what stands behind it, it has {longest} bytes, and may "
            f"have {SHORT_STRING}. Use a shorter one.",
            exchange_name=exchange_name,
        )


def declare_passing(connection: AmqpConnection, keys: Sequence[str]) -> str:
    """Declare a queue that ends with the connection, bound with these keys; return its name."""
    channel = connection.channel
    answer = connection.call(channel.queue_declare, queue="", exclusive=True)
    queue_name = str(answer.method.queue)
    for key in keys:
        connection.call(
            channel.queue_bind,
            queue=queue_name,
            exchange=connection.exchange_name,
            routing_key=key,
        )
    return queue_name


def not_ours_to_make(
    settings: RabbitMQSettings, reason: BaseException, failure: DeliveryError
) -> DeliveryError:
    """Return what to say of something that isn't there, if it isn't for us to make it."""
    if settings.topology == "declare" or not _is_missing(reason):
        return failure
    return BrokerRefusedError(
        f"Exchange {failure.exchange_name!r}: RabbitMQ lacks something: {broker_text(reason)}. "
        f"With topology = {settings.topology!r} nothing is made: let an administrator make it. "
        f"(The queue {failure.exchange_name + LOCK_SUFFIX!r} is the lock: durable, classic, empty. "
        "lock = false does without it.)",
        exchange_name=failure.exchange_name,
    )


def _is_missing(reason: BaseException) -> bool:
    return isinstance(reason, exceptions.ChannelClosedByBroker) and reason.reply_code == NOT_FOUND


def declare_own(
    connection: AmqpConnection,
    queue_name: str,
    arguments: Mapping[str, bool | int | str],
    since: str = "",
) -> None:
    """Declare a queue for the relay's own use: durable, and classic whatever the default is.

    The one that an earlier version made, transient or without the argument ``since``, makes way for
    it, unless it is in use. The channel is another one then.
    """
    wanted = {"x-queue-type": "classic", **arguments}
    channel = connection.channel
    try:
        connection.call(channel.queue_declare, queue=queue_name, durable=True, arguments=wanted)
    except DeliveryError:
        differs = _what_differs(connection.reason)
        if differs not in {"durable", since}:
            raise
        connection.renew_channel()
        channel = connection.channel
        earlier = {name: value for name, value in wanted.items() if name != since}
        # Refused if it is somebody else's: ours was the same but for this.
        durable = differs != "durable"
        connection.call(channel.queue_declare, queue=queue_name, durable=durable, arguments=earlier)
        connection.call(channel.queue_delete, queue=queue_name, if_unused=True)
        connection.call(channel.queue_declare, queue=queue_name, durable=True, arguments=wanted)


def _what_differs(reason: BaseException | None) -> str | None:
    """Return the property for which the broker refused to declare what it has otherwise."""
    if (
        not isinstance(reason, exceptions.ChannelClosedByBroker)
        or reason.reply_code != PRECONDITION_FAILED
    ):
        return None
    found = _INEQUIVALENT.search(broker_text(reason))
    return found and found[1]
