"""The producer: the relay's side."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidings.plugins import (
    BrokerUnavailableError,
    MessageProducer,
    NotificationMessage,
    Position,
    ProducerContext,
    UndeliverableEventError,
)
from tidings_zeromq.conversation import FRAME_EVENTS, Conversation
from tidings_zeromq.endpoint import Endpoint
from tidings_zeromq.settings import MAX_NAME_BYTES
from tidings_zeromq.wire import encode_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tidings_zeromq.settings import ZeroMQSettings


class ZeroMQMessageProducer(MessageProducer):
    """Serves an exchange to the subscribers that connect.

    An event is accepted when every subscriber of ``settings.subscribers`` has acknowledged it.
    Exchanges of one process may share one address, also those of several producers in several
    threads.
    """

    def __init__(self, settings: ZeroMQSettings, context: ProducerContext) -> None:
        self._settings = settings
        self._context = context
        self._open: dict[str, tuple[Endpoint, Conversation]] = {}
        self._ahead: dict[str, dict[str, int]] = {}
        self._unserved = 0
        self._serve_every = min(FRAME_EVENTS, max(1, settings.window // 4))

    def open(self, exchange_name: str, position: Position = Position()) -> None:  # noqa: B008 - immutable
        """Listen for subscribers. One that names no id begins after ``position``.

        :class:`~tidings.errors.ExchangeLockedError` where another relay listens at the address.
        """
        if exchange_name in self._open:
            raise RuntimeError(f"Exchange {exchange_name!r} is open already.")
        if len(exchange_name.encode()) > MAX_NAME_BYTES:
            raise RuntimeError(f"The name of exchange {exchange_name!r} is too long for ZeroMQ.")
        endpoint = Endpoint.join(self._settings, exchange_name)
        conversation = Conversation(
            endpoint,
            exchange_name,
            self._settings,
            self._context,
            position=position,
            ahead=self._ahead.setdefault(exchange_name, {}),
        )
        self._open[exchange_name] = endpoint, conversation

    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        """Take one event to be sent; it goes out with those around it, and with the next wait.

        Blocks while ``window`` events wait for acknowledgement.
        """
        conversation = self._conversation(exchange_name)
        try:
            event = encode_event(
                notification_message, notification_type, notification_id, notification_occurred_on
            )
        except ValueError as error:
            raise UndeliverableEventError(
                f"Exchange {exchange_name!r}: event {notification_id} cannot be sent over ZeroMQ: "
                f"{error}.",
                exchange_name=exchange_name,
                event_id=notification_id,
            ) from error
        if conversation.window.full:
            self._serve_until(exchange_name, lambda: not conversation.window.full, None)
        conversation.send(notification_id, event)
        self._unserved += 1
        if self._unserved >= self._serve_every:
            self._unserved = 0
            conversation.serve()

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        """Return when every required subscriber has acknowledged everything sent."""
        conversation = self._conversation(exchange_name)
        self._serve_until(exchange_name, lambda: not conversation.window.unaccepted, timeout)

    def accepted_id(self, exchange_name: str) -> int | None:
        """Return the newest event that every required subscriber has acknowledged."""
        if exchange_name not in self._open:
            return None
        return self._open[exchange_name][1].accepted_id

    def close(self, exchange_name: str) -> None:
        """Hang up; subscribers come back by themselves when the exchange is opened again."""
        endpoint, _ = self._open.pop(exchange_name, (None, None))
        if endpoint is not None:
            endpoint.leave(exchange_name)

    def wait(self, exchange_name: str, seconds: float) -> None:
        """Serve subscribers for up to ``seconds``."""
        conversation = self._conversation(exchange_name)
        deadline = time.monotonic() + seconds
        while True:
            pause = conversation.serve()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._open[exchange_name][0].idle(exchange_name, min(pause, left))

    def _conversation(self, exchange_name: str) -> Conversation:
        try:
            return self._open[exchange_name][1]
        except KeyError:
            raise RuntimeError(f"Exchange {exchange_name!r} is not open.") from None

    def _serve_until(
        self, exchange_name: str, done: Callable[[], bool], timeout: float | None
    ) -> None:
        endpoint, conversation = self._open[exchange_name]
        started = time.monotonic()
        while True:
            pause = conversation.serve()
            if done():
                return
            left = self._time_left(exchange_name, conversation, started, timeout)
            endpoint.idle(exchange_name, min(pause, left))

    def _time_left(
        self, exchange_name: str, conversation: Conversation, started: float, timeout: float | None
    ) -> float:
        """Return how long to wait on for acknowledgements; raise when it has been long enough."""
        now = time.monotonic()
        behind = conversation.behind()
        name = min(behind, key=behind.__getitem__)
        if timeout is None:
            limit = self._settings.no_progress_timeout
            left = max(behind[name], started) + limit - now
        else:
            limit = timeout
            left = started + limit - now
        if left > 0:
            return left
        first = conversation.window.first_unaccepted_id
        raise BrokerUnavailableError(
            f"Exchange {exchange_name!r}: the required subscriber {name!r} has not acknowledged "
            f"event {first} for {limit:g} s; {conversation.describe(name)}.",
            exchange_name=exchange_name,
            event_id=first,
        )
