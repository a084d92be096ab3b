"""One open exchange: what it needs on the broker, and what the broker says of its messages."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pika import exceptions, spec
from typing_extensions import override

from tidings.plugins import (
    DeliveryError,
    NotAcceptedError,
    OpenExchange,
    UndeliverableEventError,
)
from tidings_rabbitmq.confirms import Confirms
from tidings_rabbitmq.connection import AmqpConnection
from tidings_rabbitmq.failures import PRECONDITION_FAILED, broker_text
from tidings_rabbitmq.frames import MessageEncoder
from tidings_rabbitmq.layout import QueueLayout
from tidings_rabbitmq.lock import declare_lock, take_lock
from tidings_rabbitmq.pipeline import Pipeline
from tidings_rabbitmq.slow_start import SlowStart
from tidings_rabbitmq.tail import (
    bind_tail,
    declare_tail,
    disown_tail,
    read_tail,
    unbind_tail,
)
from tidings_rabbitmq.topology import check_name, not_ours_to_make, prepare
from tidings_rabbitmq.unroutable import Unroutable
from tidings_rabbitmq.upkeep import keep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidings.plugins import Accepted, ExchangeContext, Notification
    from tidings_rabbitmq.loop import Loop
    from tidings_rabbitmq.settings import RabbitMQSettings

CAREFUL_BYTES = 1024 * 1024
"""Bodies from this size on are sent when everything before them is confirmed.

A broker that finds a message too large closes the channel, and says nothing more of those before
it, though it has them. So they would be sent again. Its limit is not told to clients; it is many
times this one unless somebody has lowered it.
"""

_TOO_LARGE = re.compile(r"message size (\d+) is larger than configured max size (\d+)")

DISOWN_SECONDS = 1.0

_QUEUES_REFUSE = "queues_refuse"
"""In the exchange's memory if a queue has ever refused messages, of which the tail may hold some.

It may have refused others unheard, so this stays.
"""


class OpenRabbitMQExchange(OpenExchange):
    """Publishes to one exchange over a connection of its own."""

    def __init__(self, loop: Loop, settings: RabbitMQSettings, context: ExchangeContext) -> None:
        check_name(context.exchange_name)
        self._exchange_name = context.exchange_name
        self._position = context.position
        self._memory = context.memory
        self._partitions = context.partitions
        self._settings = settings
        self._unroutable = Unroutable(self._exchange_name)
        self._slow_start = SlowStart(self._memory, settings.window)
        self._connection = AmqpConnection(loop, settings, self._exchange_name, self._name_the_event)
        self._pipeline = Pipeline(
            self._connection, settings.window, settings.no_progress_timeout, context.on_accepted
        )
        try:
            self._open(self._connection)
        except BaseException:
            self.close()
            raise

    def _open(self, connection: AmqpConnection) -> None:
        """Connect, declare, take the lock, ask for confirms; from then on look after the queues."""
        settings = self._settings
        layout = QueueLayout(self._queues(), self._partitions)
        connection.open()
        prepare(connection, settings, layout)
        if settings.lock:
            self._take_over(connection)
        self._confirms = Confirms(
            connection,
            self._pipeline.unconfirmed,
            self._looked_at(layout),
            settings.window,
        )
        channel = connection.channel
        channel.add_on_return_callback(self._on_return)
        answers: list[Any] = []
        connection.start(channel.confirm_delivery, self._on_confirm, answers.append)
        connection.wait_for(answers, "confirm.select")
        self._encoder = MessageEncoder(
            channel.channel_number,
            self._exchange_name,
            connection.frame_max,
            settings.app_id,
            # Only the tail is read again: other messages needn't say which store they are of.
            self._position if settings.resume == "tail" else self._position._replace(store=""),
        )
        keep(connection, layout)
        self.longest_silence = connection.longest_silence

    def _queues(self) -> Mapping[str, Sequence[str]]:
        """Return the queues that we look after, and what they are bound with."""
        settings = self._settings
        if settings.topology == "declare":
            return settings.wanted(self._exchange_name)
        # A queue of the exchange's own name is ours alone; nobody makes it for us.
        return {name: [] for name in settings.queues or () if settings.topology == "check"}

    def _looked_at(self, layout: QueueLayout) -> Sequence[str]:
        """Return the queues without which nothing is accepted.

        With a tail it would be of no use: that remembers what they missed. And the queues of many
        partitions are too many to be looked at so often.
        """
        if self._settings.resume == "tail" or layout.partitions:
            return ()
        return list(layout.queues)

    def _take_over(self, connection: AmqpConnection) -> None:
        """Take the lock, and with it the tail, if there is to be one."""
        with_tail = self._settings.resume == "tail"
        makes = self._settings.topology == "declare"
        if makes:
            declare_lock(connection)
        if with_tail:
            declare_tail(connection)
        take_lock(connection)
        exchange_type = self._settings.exchange_type
        if not with_tail:
            if makes:
                unbind_tail(connection, exchange_type)
            return
        bind_tail(connection, exchange_type, queues_refuse=_QUEUES_REFUSE in self._memory)

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        """Hand messages over; many are written to the socket at once."""
        pipeline, encode = self._pipeline, self._encoder.encode
        pipeline.check()
        for message, type_name, event_id, occurred_on in notifications:
            size = len(message.body)
            try:
                encoded = encode(message, type_name, event_id, occurred_on)
            except ValueError as error:
                raise self._undeliverable(
                    event_id, f"{error}. Shorten it where it is recorded, or quarantine the event."
                ) from error
            if size >= CAREFUL_BYTES:
                pipeline.flush(None)
            pipeline.send(event_id, size, encoded)
            if self._slow_start.ends_round(event_id):
                pipeline.flush(None)

    @override
    def flush(self, timeout: float | None = None) -> None:
        """Wait for every confirm."""
        self._pipeline.flush(timeout)

    @override
    def accepted_id(self) -> int | None:
        return self._pipeline.accepted_id()

    @override
    def most_recent_accepted(self) -> Accepted | None:
        """Return the event of the message in the exchange's tail (``resume = "tail"``)."""
        return read_tail(self._connection, self._settings.app_id)

    @override
    def unroutable_count(self) -> int:
        return self._unroutable.count

    @override
    def wait(self, seconds: float) -> None:
        self._pipeline.wait(seconds)

    @override
    def close(self) -> None:
        """Close the connection; takes at most three seconds, also from a dead broker."""
        usable = self._connection.has_channel and not self._connection.is_foreign
        if usable and _QUEUES_REFUSE in self._memory:
            # At once, and not when we open again: the next to open may be another relay.
            with suppress(DeliveryError):
                disown_tail(self._connection, DISOWN_SECONDS)
        self._connection.close()
        self._unroutable.tell()

    def _name_the_event(self, reason: BaseException, failure: DeliveryError) -> DeliveryError:
        failure = not_ours_to_make(self._settings, reason, failure)
        if not isinstance(reason, exceptions.ChannelClosedByBroker):
            return failure
        too_large = _TOO_LARGE.search(broker_text(reason))
        if reason.reply_code != PRECONDITION_FAILED or not too_large:
            return failure
        size, largest = map(int, too_large.groups())
        event_id = self._pipeline.unconfirmed.id_of_size(size)
        if event_id is None:
            return failure
        return self._undeliverable(
            event_id,
            f"its body has {size} bytes, and the broker takes {largest}. Raise "
            "max_message_size in rabbitmq.conf, or quarantine the event.",
        )

    def _undeliverable(self, event_id: int, why: str) -> UndeliverableEventError:
        return UndeliverableEventError(
            f"Exchange {self._exchange_name!r}: event {event_id} can never be sent to RabbitMQ: "
            f"{why}",
            exchange_name=self._exchange_name,
            event_id=event_id,
        )

    def _on_confirm(self, frame: Any) -> None:
        confirm, unconfirmed = frame.method, self._pipeline.unconfirmed
        if isinstance(confirm, spec.Basic.Ack):
            self._confirms.confirmed(confirm.delivery_tag, multiple=confirm.multiple)
            return
        if self._settings.resume == "tail":
            # Not so if a message is returned: then the tail did not get it either.
            self._memory[_QUEUES_REFUSE] = True
        self._not_accepted(
            unconfirmed.refuse(confirm.delivery_tag, multiple=confirm.multiple),
            "a queue is full, or could not store it. Let its subscribers drain the queue, or "
            "raise its limit.",
        )

    def _on_return(self, _channel: object, method: Any, properties: Any, _body: bytes) -> None:
        event_id = int(properties.message_id)
        if self._settings.unroutable == "ignore":
            self._unroutable.note(event_id)
            return  # the broker confirms it next, as any other
        self._pipeline.unconfirmed.give_back(event_id)
        self._not_accepted(
            event_id,
            f"it would reach no queue ({method.reply_text}){_of_key(method.routing_key)}. Bind a "
            "queue to the exchange; opening it anew binds those that the settings name.",
        )

    def _not_accepted(self, event_id: int | None, why: str) -> None:
        self._slow_start.refused(event_id)
        self._confirms.hurry()
        self._pipeline.refuse(
            NotAcceptedError(
                f"Exchange {self._exchange_name!r}: RabbitMQ at {self._connection.address} did not "
                f"accept event {event_id}: {why}",
                exchange_name=self._exchange_name,
                event_id=event_id,
            )
        )


def _of_key(routing_key: str) -> str:
    return f", with the routing key {routing_key!r}" if routing_key else ""
