"""One publisher at a time for each exchange, by the broker's own hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pika import exceptions

from tidings.plugins import DeliveryError, ExchangeLockedError
from tidings_rabbitmq.failures import (
    ACCESS_REFUSED,
    PRECONDITION_FAILED,
    RESOURCE_LOCKED,
    broker_text,
)
from tidings_rabbitmq.topology import LOCK_SUFFIX, declare_own

if TYPE_CHECKING:
    from tidings_rabbitmq.connection import AmqpConnection


def declare_lock(connection: AmqpConnection) -> None:
    """Declare the exchange's lock queue.

    It is durable because RabbitMQ deprecates other queues that connections share: the consumer is
    the lock, and the queue stays empty. If nothing may be made, it is found missing as the lock
    is taken.
    """
    try:
        declare_own(connection, connection.exchange_name + LOCK_SUFFIX, {})
    except DeliveryError as error:
        if _is_locked(connection.reason):
            raise _locked(connection) from error
        raise


def take_lock(connection: AmqpConnection) -> None:
    """Become the only consumer of the exchange's lock queue, on the publishing channel.

    The broker ends a channel's consumers after it has dealt with everything that was published
    on the channel. So whoever gets the lock next knows that nothing of ours is still on its way.
    Raises :class:`ExchangeLockedError` if another connection has it.
    """
    channel = connection.channel
    queue_name = connection.exchange_name + LOCK_SUFFIX
    channel.add_on_cancel_callback(lambda _frame: connection.fail(_lost(connection)))
    try:
        connection.call(
            channel.basic_consume,
            queue=queue_name,
            on_message_callback=_ignore,
            exclusive=True,
            auto_ack=True,
        )
    except DeliveryError as error:
        if _is_locked(connection.reason):
            raise _locked(connection) from error
        raise


def _is_locked(reason: BaseException | None) -> bool:
    if not isinstance(reason, exceptions.ChannelClosedByBroker):
        return False
    said = broker_text(reason)
    return (
        (reason.reply_code == ACCESS_REFUSED and "in exclusive use" in said)
        or (reason.reply_code == PRECONDITION_FAILED and said.endswith("in use"))
        or reason.reply_code == RESOURCE_LOCKED
    )


def _locked(connection: AmqpConnection) -> ExchangeLockedError:
    return ExchangeLockedError(
        f"Exchange {connection.exchange_name!r}: another publisher holds it on RabbitMQ at "
        f"{connection.address}, or the broker has not yet noticed that it is gone. Wait for it, "
        "or stop that relay.",
        exchange_name=connection.exchange_name,
    )


def _lost(connection: AmqpConnection) -> ExchangeLockedError:
    return ExchangeLockedError(
        f"Exchange {connection.exchange_name!r}: RabbitMQ at {connection.address} took our lock "
        f"away; somebody deleted the queue {connection.exchange_name + LOCK_SUFFIX!r}. Leave it "
        "alone while a relay works.",
        exchange_name=connection.exchange_name,
    )


def _ignore(*_delivery: object) -> None:
    """Drop what others put into the lock queue."""
