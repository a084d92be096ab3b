"""The last message that an exchange routed, kept by the broker: where to go on after a crash.

The tail must not outlive what the broker lost: a broker that is killed keeps its durable queues,
but each with what *it* had written. So beside the tail lies a marker, a message that is not
persistent, and that no broker has any more when it comes back. A tail without its marker is
emptied. (A transient queue would do the same, but RabbitMQ deprecates those.)

Nor must it speak of what another queue has refused. A relay that is killed may not have heard that.
So once one has heard of any refusal, the marker says so, and the tail is emptied at each opening.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pika import BasicProperties, spec

from tidings.plugins import Accepted, fingerprint_of
from tidings_rabbitmq.frames import GENERATION, OCCURRED_ON, STORE
from tidings_rabbitmq.topology import MARKER_SUFFIX, TAIL_SUFFIX, declare_own

if TYPE_CHECKING:
    from tidings_rabbitmq.connection import AmqpConnection

_LAST_ONE: dict[str, bool | int | str] = {"x-max-length": 1, "x-overflow": "drop-head"}
_DEAD_LETTERS = "x-dead-letter-exchange"
_REFUSED = {"tidings": "refused"}
"""The marker's headers from then on."""
_BINDING = {"tidings": "tail"}
"""Makes the binding ours: taking it away touches no other that has the same name."""


def declare_tail(connection: AmqpConnection) -> None:
    """Declare the tail and its marker's way; the tail is not bound yet."""
    marker = connection.exchange_name + MARKER_SUFFIX
    # An exchange that isn't there: what a tail drops must not go where a policy sends what queues
    # drop. That would be every event, perhaps back into our exchange.
    arguments = _LAST_ONE | {_DEAD_LETTERS: _tail(connection)}
    declare_own(connection, _tail(connection), arguments, since=_DEAD_LETTERS)
    channel = connection.channel
    connection.call(channel.exchange_declare, exchange=marker, exchange_type="fanout", durable=True)
    declare_own(connection, marker, arguments, since=_DEAD_LETTERS)
    connection.call(connection.channel.queue_bind, queue=marker, exchange=marker)


def bind_tail(connection: AmqpConnection, exchange_type: str, *, queues_refuse: bool) -> None:
    """Bind the tail, emptied if its marker is gone, or queues refuse. Only the lock's holder may.

    ``queues_refuse`` is what this relay knows; another one's marker may say it, too.
    """
    channel = connection.channel
    marker = _peek(connection, connection.exchange_name + MARKER_SUFFIX)
    if marker is None or queues_refuse or marker.headers == _REFUSED:
        connection.call(channel.queue_purge, queue=_tail(connection))
    if marker is None or queues_refuse:
        # After that, and not before: a marker vouches for what lies in the tail.
        _mark(connection, _REFUSED if queues_refuse else {})
    connection.call(channel.queue_bind, **_binding(connection, exchange_type))


def read_tail(connection: AmqpConnection, app_id: str) -> Accepted | None:
    """Return the event of the message in the tail, and leave it there.

    ``None`` if there is none, or if it is not one of ours.
    """
    properties = _peek(connection, _tail(connection))
    return None if properties is None else _accepted(properties, app_id)


def disown_tail(connection: AmqpConnection, seconds: float) -> None:
    """Empty our own tail, under the lock still: it holds what another queue has refused.

    Whoever opens it later empties it, too. Ends the channel's use if that fails.
    """
    answers: list[Any] = []
    _mark(connection, _REFUSED)
    connection.start(
        connection.channel.queue_purge, queue=_tail(connection), callback=answers.append
    )
    connection.wait_for(answers, "emptying the tail", seconds)


def unbind_tail(connection: AmqpConnection, exchange_type: str) -> None:
    """Take the tail of an earlier ``resume = "tail"`` off: it hides unroutable messages."""
    connection.call(connection.channel.queue_unbind, **_binding(connection, exchange_type))


def _binding(connection: AmqpConnection, exchange_type: str) -> dict[str, Any]:
    """Return the binding that gives the tail every message."""
    tail = _tail(connection)
    return {
        "queue": tail,
        "exchange": connection.exchange_name,
        "routing_key": "#" if exchange_type == "topic" else tail,
        "arguments": _BINDING,
    }


def _mark(connection: AmqpConnection, headers: dict[str, str]) -> None:
    transient = BasicProperties(delivery_mode=spec.TRANSIENT_DELIVERY_MODE, headers=headers)
    marker = connection.exchange_name + MARKER_SUFFIX
    connection.start(connection.channel.basic_publish, marker, "", b"", transient)


def _tail(connection: AmqpConnection) -> str:
    return connection.exchange_name + TAIL_SUFFIX


def _peek(connection: AmqpConnection, queue_name: str) -> Any | None:
    """Return the properties of a queue's message, which stays there, or ``None``."""
    channel = connection.channel
    answers: list[tuple[int, Any] | None] = []

    def got(_channel: object, method: Any, properties: Any, _body: bytes) -> None:
        answers.append((method.delivery_tag, properties))

    channel.add_callback(lambda _frame: answers.append(None), [spec.Basic.GetEmpty])
    connection.start(channel.basic_get, queue=queue_name, callback=got)
    connection.wait_for(answers, f"reading {queue_name!r}")
    if answers[0] is None:
        return None
    tag, properties = answers[0]
    connection.start(channel.basic_nack, tag, requeue=True)
    return properties


def _accepted(properties: Any, app_id: str) -> Accepted | None:
    headers = properties.headers or {}
    if properties.app_id != app_id:
        return None
    try:
        event_id, generation = int(properties.message_id), int(headers.get(GENERATION, 0))
        occurred_on = datetime.fromisoformat(headers[OCCURRED_ON])
        mark = fingerprint_of(properties.type, occurred_on)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None  # another program's message, under our app_id
    return Accepted(event_id, mark, generation, str(headers.get(STORE, "")))
