"""What a backend under test is: a server, a configuration, and a reader that is not ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.servers import Server

EXCHANGE = "chaos"
QUIET = 1.0
"""Seconds without a message after which a queue is taken to be empty."""
LONGEST_SILENCE = 20.0
"""The same, while the newest event has not arrived."""


class Backend(ABC):
    """One kind of broker, started for one run."""

    name: str
    """As the table shows it."""
    producer: str
    """The word in the configuration."""
    server: Server | None = None
    republished = 0
    """Events that one crash of the relay may republish."""
    republished_by_broker = 0
    """Events that one crash of the broker may republish."""
    standby_takes_over = True
    """Whether another relay can publish while the first is frozen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def start(self, proxy_port: int | None) -> None:
        """Start it all; a proxy, if there is one, stands between the relay and who listens."""

    @abstractmethod
    def settings(self) -> str:
        """Return the lines of ``[producers.…]``."""

    @property
    @abstractmethod
    def port(self) -> int:
        """Where a proxy leads to."""

    @abstractmethod
    def arrived(self, newest: int) -> Sequence[int]:
        """Return the ids that have arrived since the start, in their order.

        Everything up to ``newest`` was accepted.
        """

    @abstractmethod
    def stop(self) -> None:
        """Stop everything."""


def at_port(url: str, port: int | None) -> str:
    """Return ``url`` with another port: that of a proxy, if there is one."""
    if port is None:
        return url
    parts = urlsplit(url)
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return urlunsplit(parts._replace(netloc=f"{login}127.0.0.1:{port}"))
