"""What connections of both protocols promise whoever uses one."""

from __future__ import annotations

import os
import ssl
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from tidings.plugins import BrokerRefusedError

if TYPE_CHECKING:
    from tidings.plugins import DeliveryError
    from tidings_rabbitmq.broker_settings import BrokerSettings


class BrokerConnection(ABC):
    """A connection whose calls wait for the broker's answer, with a limit.

    What goes wrong, now or while nobody calls, is kept in ``failure`` and raised by the next call.
    """

    def __init__(self, settings: BrokerSettings, exchange_name: str) -> None:
        """Take the settings; connects to nothing."""
        self.address = settings.address
        self.exchange_name = exchange_name
        self.failure: DeliveryError | None = None
        self._process = os.getpid()

    @property
    def is_foreign(self) -> bool:
        """Whether it is another process's, of which this one is a fork."""
        return os.getpid() != self._process

    @property
    @abstractmethod
    def unsent(self) -> int:
        """Bytes that the socket has not taken yet."""

    @property
    @abstractmethod
    def longest_silence(self) -> float:
        """How many seconds it can do without :meth:`step`, once it is open."""

    @abstractmethod
    def step(self, seconds: float) -> None:
        """Read and write, up to ``seconds``; raise what went wrong."""

    def check(self) -> None:
        """Raise what went wrong, if anything did."""
        if self.failure is not None:
            raise self.failure

    @abstractmethod
    def fail_silent(self, doing: str, seconds: float) -> None:
        """Give up, because the broker did not answer for so long; raises."""

    @abstractmethod
    def close(self) -> None:
        """Close, politely if the broker answers at once, else abruptly. Never raises.

        In a fork of the process that opened it, nothing is said to the broker: the connection is
        the other process's.
        """

    def _ssl_context(self, settings: BrokerSettings) -> ssl.SSLContext | None:
        """Return what TLS takes, or ``None`` without it; raise if a file cannot be used."""
        try:
            return settings.ssl_context(self.address)
        except (ssl.SSLError, OSError) as error:
            raise BrokerRefusedError(
                f"Exchange {self.exchange_name!r}: ca_file, certificate_file or key_file cannot "
                f"be used: {error.strerror or error}.",
                exchange_name=self.exchange_name,
            ) from error
