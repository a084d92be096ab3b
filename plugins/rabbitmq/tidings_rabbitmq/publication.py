"""One open exchange: messages go out in pieces, confirms come in as they please."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pika import exceptions, spec

from tidings.plugins import DeliveryError, NotAcceptedError, UndeliverableEventError
from tidings_rabbitmq.connection import Connection
from tidings_rabbitmq.explain import PRECONDITION_FAILED, broker_text
from tidings_rabbitmq.frames import MessageEncoder
from tidings_rabbitmq.lock import take_lock
from tidings_rabbitmq.tail import bind_tail, drop_tail, read_tail
from tidings_rabbitmq.topology import check_name, declare
from tidings_rabbitmq.window import Window

if TYPE_CHECKING:
    from datetime import datetime

    from tidings.plugins import NotificationMessage, Position
    from tidings_rabbitmq.loop import Loop
    from tidings_rabbitmq.settings import RabbitMQSettings

CHUNK_MESSAGES = 200
CHUNK_BYTES = 128 * 1024
UNSENT_BYTES = 4 * 1024 * 1024
"""How much we encode ahead of the socket: memory stays flat with large bodies."""

SETTLE_SECONDS = 1.0
"""How long we wait for the confirms of what was sent before a refused message."""

_TOO_LARGE = re.compile(r"message size (\d+) is larger than configured max size (\d+)")


class Publication:
    """Publishes to one exchange over a connection of its own."""

    def __init__(
        self, loop: Loop, settings: RabbitMQSettings, exchange_name: str, position: Position
    ) -> None:
        check_name(exchange_name)
        self.exchange_name = exchange_name
        self.largest_body: int | None = None
        """The most that the broker takes, once it has said so."""
        self._settings = settings
        self._position = position
        self._connection = Connection(loop, settings, exchange_name)
        self._window = Window()
        self._chunk: list[bytes] = []
        self._chunk_size = 0
        self._refusal: NotAcceptedError | None = None
        self._piece = min(CHUNK_MESSAGES, max(settings.window // 2, 1))
        self._progress = time.monotonic()
        self._least_unsent = 0

    def open(self) -> None:
        """Connect, declare, take the lock, and ask for confirms."""
        connection = self._connection
        connection.open()
        channel = connection.channel
        declare(connection, self.exchange_name, self._settings.queue_arguments)
        if self._settings.lock:
            take_lock(connection)
        if self._settings.resume == "tail":
            bind_tail(connection)
        elif self._settings.lock:
            drop_tail(connection)
        channel.add_on_return_callback(self._on_return)
        answers: list[Any] = []
        connection.start(channel.confirm_delivery, self._on_confirm, answers.append)
        connection.wait_for(answers, "confirm.select")
        self._encoder = MessageEncoder(
            channel.channel_number,
            self.exchange_name,
            connection.frame_max,
            self._settings.app_id,
            self._position.generation,
        )

    def send(
        self, message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
    ) -> None:
        """Encode one message, and write out what has gathered when it is worth it."""
        self._check()
        frames = self._encode(message, type_name, event_id, occurred_on)
        if len(self._window) >= self._settings.window:
            self._make_room()
        if not self._window:
            self._progress = time.monotonic()
        self._window.add(event_id, len(message.body))
        self._chunk.append(frames)
        self._chunk_size += len(frames)
        if len(self._chunk) >= self._piece or self._chunk_size >= CHUNK_BYTES:
            self._write()
            self._step(0)
            while self._connection.unsent > UNSENT_BYTES:
                self._step_until(self._progress + self._settings.no_progress_timeout)

    def flush(self, timeout: float | None) -> None:
        """Return when everything sent was confirmed."""
        self._check()
        self._write()
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._window:
            self._step_until(self._progress + self._settings.no_progress_timeout, deadline, timeout)

    def wait(self, seconds: float) -> None:
        """Keep the connection alive for so long, or until the last confirm has come in."""
        self._check()
        self._write()
        owed = bool(self._window)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and (self._window or not owed):
            self._step(left)
            if self._window:
                self._give_up_after(self._progress + self._settings.no_progress_timeout)

    def accepted_id(self) -> int | None:
        """Return how far the broker's word goes."""
        return self._window.accepted_id

    def most_recent_accepted_id(self) -> int | None:
        """Return the newest of our ids that the broker holds."""
        return read_tail(self._connection, self._settings.app_id, self._position.generation)

    def close(self) -> None:
        """Let go of the connection, and with it of the lock."""
        self._connection.close()

    def _encode(
        self, message: NotificationMessage, type_name: str, event_id: int, occurred_on: datetime
    ) -> bytes:
        if self.largest_body is not None and len(message.body) > self.largest_body:
            raise self._undeliverable(
                event_id, f"its body has {len(message.body)} bytes", self._too_large_advice()
            )
        try:
            return self._encoder.encode(message, type_name, event_id, occurred_on)
        except ValueError as error:
            raise self._undeliverable(
                event_id, str(error), "Shorten it where it is recorded, or quarantine the event."
            ) from error

    def _make_room(self) -> None:
        self._write()
        while len(self._window) > self._settings.window - self._piece:
            self._step_until(self._progress + self._settings.no_progress_timeout)

    def _write(self) -> None:
        if self._chunk:
            self._connection.write(b"".join(self._chunk))
            self._least_unsent = self._connection.unsent
            self._chunk.clear()
            self._chunk_size = 0

    def _step(self, seconds: float) -> None:
        with suppress(DeliveryError):
            self._connection.step(seconds)
        self._check()
        # Less than ever since the last write: heartbeats, which come and go, are no progress.
        if self._connection.unsent < self._least_unsent:
            self._least_unsent = self._connection.unsent
            self._progress = time.monotonic()

    def _step_until(
        self, silent: float, deadline: float | None = None, timeout: float | None = None
    ) -> None:
        end = silent if deadline is None else min(silent, deadline)
        self._step(end - time.monotonic())
        if not self._window:
            return
        if deadline is not None and time.monotonic() >= deadline:
            self._connection.fail_silent(self._owed(), timeout or 0)
        self._give_up_after(self._progress + self._settings.no_progress_timeout)

    def _give_up_after(self, silent: float) -> None:
        if time.monotonic() >= silent:
            self._connection.fail_silent(self._owed(), self._settings.no_progress_timeout)

    def _owed(self) -> str:
        return f"{len(self._window)} messages unconfirmed, the first is event " + str(
            self._window.oldest_id
        )

    def _check(self) -> None:
        connection = self._connection
        if self._refusal is not None:
            self._settle()
            raise self._refusal
        if isinstance(connection.reason, exceptions.ChannelClosedByBroker):
            connection.failure = self._name_the_event(connection.reason, connection.failure)
        connection.check()

    def _settle(self) -> None:
        """Hear what becomes of the messages before the refused one, lest they are sent again."""
        end = time.monotonic() + SETTLE_SECONDS
        with suppress(DeliveryError):
            while not self._window.is_settled and (left := end - time.monotonic()) > 0:
                self._connection.step(left)

    def _name_the_event(
        self, reason: exceptions.ChannelClosedByBroker, failure: DeliveryError | None
    ) -> DeliveryError | None:
        too_large = _TOO_LARGE.search(broker_text(reason))
        if reason.reply_code != PRECONDITION_FAILED or not too_large:
            return failure
        size, self.largest_body = int(too_large[1]), int(too_large[2])
        event_id = self._window.id_of_size(size)
        if event_id is None:
            return failure
        return self._undeliverable(event_id, f"its body has {size} bytes", self._too_large_advice())

    def _too_large_advice(self) -> str:
        return (
            f"RabbitMQ takes {self.largest_body}: raise max_message_size in rabbitmq.conf, or "
            "quarantine the event."
        )

    def _undeliverable(self, event_id: int, what: str, advice: str) -> UndeliverableEventError:
        return UndeliverableEventError(
            f"Exchange {self.exchange_name!r}: event {event_id} can never be sent to RabbitMQ: "
            f"{what}. {advice}",
            exchange_name=self.exchange_name,
            event_id=event_id,
        )

    def _on_confirm(self, frame: Any) -> None:
        confirm = frame.method
        if isinstance(confirm, spec.Basic.Ack):
            self._window.accept(confirm.delivery_tag, multiple=confirm.multiple)
            self._progress = time.monotonic()
            return
        event_id = self._window.refuse(confirm.delivery_tag, multiple=confirm.multiple)
        self._not_accepted(
            event_id,
            "a queue is full, or could not store it",
            "Let its subscribers drain the queue, or raise its limit.",
        )

    def _on_return(self, _channel: object, method: Any, properties: Any, _body: bytes) -> None:
        event_id = int(properties.message_id)
        self._window.give_back(event_id)
        self._not_accepted(
            event_id,
            f"it would reach no queue ({method.reply_text})",
            "Bind a queue to the exchange; opening it anew binds the one of its own name.",
        )

    def _not_accepted(self, event_id: int | None, what: str, advice: str) -> None:
        if self._refusal is not None and (self._refusal.event_id or 0) <= (event_id or 0):
            return
        self._refusal = NotAcceptedError(
            f"Exchange {self.exchange_name!r}: RabbitMQ at {self._connection.address} did not "
            f"accept event {event_id}: {what}. {advice}",
            exchange_name=self.exchange_name,
            event_id=event_id,
        )
