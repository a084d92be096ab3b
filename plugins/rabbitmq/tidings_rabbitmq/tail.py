"""The last message that an exchange routed, kept by the broker: where to go on after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pika import spec

from tidings_rabbitmq.frames import GENERATION, OCCURRED_ON
from tidings_rabbitmq.topology import TAIL_SUFFIX

if TYPE_CHECKING:
    from tidings_rabbitmq.connection import Connection

# Transient on purpose: a durable tail would outlive messages that the broker lost.
_ARGUMENTS = {"x-max-length": 1, "x-overflow": "drop-head", "x-queue-type": "classic"}


def bind_tail(connection: Connection) -> None:
    """Declare and bind the tail. Only the lock's holder may read it as its own."""
    channel, queue_name = connection.channel, _queue_name(connection)
    connection.call(channel.queue_declare, queue=queue_name, arguments=_ARGUMENTS)
    connection.call(channel.queue_bind, queue=queue_name, exchange=connection.exchange_name)


def read_tail(connection: Connection, app_id: str, generation: int) -> int | None:
    """Return the id of the message in the tail, and leave it there.

    ``None`` where there is none, or where it is not one of ours and of this generation.
    """
    channel = connection.channel
    answers: list[tuple[int, Any] | None] = []

    def got(_channel: object, method: Any, properties: Any, _body: bytes) -> None:
        answers.append((method.delivery_tag, properties))

    channel.add_callback(lambda _frame: answers.append(None), [spec.Basic.GetEmpty])
    connection.start(channel.basic_get, queue=_queue_name(connection), callback=got)
    connection.wait_for(answers, "reading the tail")
    if answers[0] is None:
        return None
    tag, properties = answers[0]
    connection.start(channel.basic_nack, tag, requeue=True)
    return _our_id(properties, app_id, generation)


def disown_tail(connection: Connection, seconds: float) -> None:
    """Delete our own tail, under the lock still: it holds what another queue has refused.

    Ends the channel's use where that fails.
    """
    answers: list[Any] = []
    queue_name = _queue_name(connection)
    connection.start(connection.channel.queue_delete, queue=queue_name, callback=answers.append)
    connection.wait_for(answers, "deleting the tail", seconds)


def drop_tail(connection: Connection) -> None:
    """Delete the tail that an earlier ``resume = "tail"`` left: it hides unroutable messages.

    Does nothing where we may not delete it, or where a queue of that name is no tail.
    """
    channel, name = connection.new_channel(), _queue_name(connection)
    answers: list[Any] = []
    channel.add_on_close_callback(lambda _channel, reason: answers.append(reason))
    # The broker refuses to declare what is there already and is something else.
    declare = {"queue": name, "arguments": _ARGUMENTS, "callback": answers.append}
    connection.start(channel.queue_declare, **declare)
    connection.wait_for(answers, "looking for an unused tail")
    if channel.is_open:
        answers.clear()
        connection.start(channel.queue_delete, queue=name, callback=answers.append)
        connection.wait_for(answers, "deleting an unused tail")
    if channel.is_open:
        channel.close()


def _queue_name(connection: Connection) -> str:
    return connection.exchange_name + TAIL_SUFFIX


def _our_id(properties: Any, app_id: str, generation: int) -> int | None:
    headers = properties.headers or {}
    ours = (
        properties.app_id == app_id
        and OCCURRED_ON in headers
        and headers.get(GENERATION, 0) == generation
        and str(properties.message_id).isdecimal()
    )
    return int(properties.message_id) if ours else None
