"""The consumer behind ``tidings listen``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.plugins import MessageConsumer, ReceivedMessage
from tidings_zeromq.curve import subscriber_keys
from tidings_zeromq.subscriber import Subscriber

if TYPE_CHECKING:
    from tidings_zeromq.settings import ZeroMQSettings


class ZeroMQMessageConsumer(MessageConsumer):
    """Reads an exchange as one subscriber that keeps no ids of its own.

    So it begins where the relay remembers that it stands: after what it has acknowledged since the
    relay opened the exchange, else after what the exchange's required subscribers all had then.
    An application that keeps ids uses :class:`tidings_zeromq.Subscriber`.
    """

    def __init__(self, settings: ZeroMQSettings, name: str | None) -> None:
        self._settings = settings
        self._name = name or settings.subscribers[0]
        self._subscriber: Subscriber | None = None

    def open(self, exchange_name: str) -> None:
        """Connect; the relay need not be there yet, and sends nothing past a required name."""
        if self._subscriber is not None:
            raise RuntimeError("The consumer is open already.")
        settings = self._settings
        secret_key, relay_public_key = subscriber_keys(settings, exchange_name)
        subscriber = Subscriber(
            connect=settings.connect_address,
            exchange_name=exchange_name,
            name=self._name,
            secret_key=secret_key,
            relay_public_key=relay_public_key,
            heartbeat=settings.heartbeat,
        )
        subscriber.open()
        self._subscriber = subscriber

    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Return the next message, or ``None`` when none came within ``timeout`` seconds."""
        return self._opened().receive(timeout)

    def acknowledge(self, message: ReceivedMessage) -> None:
        """Say that ``message``, and all before it, need not come again."""
        self._opened().acknowledge(message)

    def close(self) -> None:
        """Hang up. Idempotent, never raises."""
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None:
            subscriber.close()

    def _opened(self) -> Subscriber:
        if self._subscriber is None:
            raise RuntimeError("The consumer is not open.")
        return self._subscriber
