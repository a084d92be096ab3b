"""One open exchange: what it needs on the broker, and what the broker says of its messages."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pika import exceptions, spec

from tidings.plugins import DeliveryError, NotAcceptedError, UndeliverableEventError
from tidings_rabbitmq.connection import Connection
from tidings_rabbitmq.explain import PRECONDITION_FAILED, broker_text
from tidings_rabbitmq.frames import MessageEncoder
from tidings_rabbitmq.lock import take_lock
from tidings_rabbitmq.pipeline import Pipeline
from tidings_rabbitmq.tail import bind_tail, disown_tail, drop_tail, read_tail
from tidings_rabbitmq.topology import check_name, declare

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tidings.plugins import NotificationMessage, Position
    from tidings_rabbitmq.loop import Loop
    from tidings_rabbitmq.settings import RabbitMQSettings

CAREFUL_BYTES = 1024 * 1024
"""Bodies from this size on are sent when everything before them is confirmed.

A broker that finds a message too large closes the channel, and says nothing more of those before
it, though it has them: they would be sent again. Its limit is not told to clients; it is many
times this one unless somebody has lowered it.
"""

_TOO_LARGE = re.compile(r"message size (\d+) is larger than configured max size (\d+)")

DISOWN_SECONDS = 1.0


class Publication:
    """Publishes to one exchange over a connection of its own."""

    def __init__(
        self,
        loop: Loop,
        settings: RabbitMQSettings,
        exchange_name: str,
        position: Position,
        track: Callable[[], None],
    ) -> None:
        check_name(exchange_name)
        self.exchange_name = exchange_name
        self.tail_is_ahead = False
        """Whether the tail may hold events that another queue has refused."""
        self._settings = settings
        self._position = position
        self._connection = Connection(loop, settings, exchange_name)
        self._connection.name_the_event = self._name_the_event
        self.pipeline = Pipeline(
            self._connection,
            settings.window,
            settings.no_progress_timeout,
            track if settings.resume == "tracker" else None,
        )

    def open(self) -> None:
        """Connect, declare, take the lock, and ask for confirms."""
        connection, settings = self._connection, self._settings
        connection.open()
        channel = connection.channel
        declare(connection, self.exchange_name, settings.declared_arguments)
        if settings.lock:
            take_lock(connection)
        if settings.resume == "tail":
            if self.tail_is_ahead:
                disown_tail(connection, settings.connect_timeout)
                self.tail_is_ahead = False
            bind_tail(connection)
        elif settings.lock:
            drop_tail(connection)
        channel.add_on_return_callback(self._on_return)
        answers: list[Any] = []
        connection.start(channel.confirm_delivery, self._on_confirm, answers.append)
        connection.wait_for(answers, "confirm.select")
        self._encoder = MessageEncoder(
            channel.channel_number,
            self.exchange_name,
            connection.frame_max,
            settings.app_id,
            self._position.generation,
        )

    def send(
        self, message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
    ) -> None:
        """Encode one message and hand it to the pipeline."""
        self.pipeline.check()
        size = len(message.body)
        try:
            encoded = self._encoder.encode(message, type_name, event_id, occurred_on)
        except ValueError as error:
            raise self._undeliverable(
                event_id, f"{error}. Shorten it where it is recorded, or quarantine the event."
            ) from error
        if size >= CAREFUL_BYTES:
            self.pipeline.flush(None)
        self.pipeline.send(event_id, size, encoded)

    def most_recent_accepted_id(self) -> int | None:
        """Return the newest of our ids that the broker holds."""
        return read_tail(self._connection, self._settings.app_id, self._position.generation)

    def close(self) -> None:
        """Let go of the connection, and with it of the lock."""
        if self.tail_is_ahead and self._connection.has_channel:
            # At once, and not when we open again: the next to open may be another relay.
            with suppress(DeliveryError):
                disown_tail(self._connection, DISOWN_SECONDS)
                self.tail_is_ahead = False
        self._connection.close()

    def _name_the_event(self, reason: BaseException, failure: DeliveryError) -> DeliveryError:
        if not isinstance(reason, exceptions.ChannelClosedByBroker):
            return failure
        too_large = _TOO_LARGE.search(broker_text(reason))
        if reason.reply_code != PRECONDITION_FAILED or not too_large:
            return failure
        size, largest = map(int, too_large.groups())
        event_id = self.pipeline.window.id_of_size(size)
        if event_id is None:
            return failure
        return self._undeliverable(
            event_id,
            f"its body has {size} bytes, and the broker takes {largest}. Raise "
            "max_message_size in rabbitmq.conf, or quarantine the event.",
        )

    def _undeliverable(self, event_id: int, why: str) -> UndeliverableEventError:
        return UndeliverableEventError(
            f"Exchange {self.exchange_name!r}: event {event_id} can never be sent to RabbitMQ: "
            f"{why}",
            exchange_name=self.exchange_name,
            event_id=event_id,
        )

    def _on_confirm(self, frame: Any) -> None:
        confirm, window = frame.method, self.pipeline.window
        if isinstance(confirm, spec.Basic.Ack):
            window.accept(confirm.delivery_tag, multiple=confirm.multiple)
            self.pipeline.note_progress()
            return
        # Not so where a message is returned: then the tail did not get it either.
        self.tail_is_ahead = self._settings.resume == "tail"
        self._not_accepted(
            window.refuse(confirm.delivery_tag, multiple=confirm.multiple),
            "a queue is full, or could not store it. Let its subscribers drain the queue, or "
            "raise its limit.",
        )

    def _on_return(self, _channel: object, method: Any, properties: Any, _body: bytes) -> None:
        event_id = int(properties.message_id)
        self.pipeline.window.give_back(event_id)
        self._not_accepted(
            event_id,
            f"it would reach no queue ({method.reply_text}). Bind a queue to the exchange; "
            "opening it anew binds the one of its own name.",
        )

    def _not_accepted(self, event_id: int | None, why: str) -> None:
        self.pipeline.refuse(
            NotAcceptedError(
                f"Exchange {self.exchange_name!r}: RabbitMQ at {self._connection.address} did not "
                f"accept event {event_id}: {why}",
                exchange_name=self.exchange_name,
                event_id=event_id,
            )
        )
