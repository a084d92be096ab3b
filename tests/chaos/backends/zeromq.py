"""ZeroMQ: there is no broker; a subscriber in a process of its own, which can be killed, too."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from typing_extensions import override

from tests.chaos.backends.base import EXCHANGE, Backend
from tests.chaos.process import Process
from tests.servers import free_port
from tidings.errors import BrokerRefusedError
from tidings.testing import eventually
from tidings_zeromq.subscriber import Subscriber

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = "independent"


class ZeroMQBackend(Backend):
    """A required subscriber whose effect, and last id, is a line in a file for each event."""

    name = producer = "zeromq"
    standby_takes_over = False  # the frozen one has the address
    subscribers = f'["{REQUIRED}"]'

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = free_port()
        self.subscriber: Process | None = None

    @override
    def start(self, proxy_port: int | None) -> None:
        self._connect_port = proxy_port or self._port
        self.start_subscriber()

    def start_subscriber(self) -> None:
        """Start the required one; it goes on behind the last line of its file."""
        self.subscriber = self.subscribe(REQUIRED)

    def subscribe(self, name: str) -> Process:
        """Start a subscriber."""
        address = f"tcp://127.0.0.1:{self._connect_port}"
        return Process(receive, address, name, self.folder / name)

    @override
    def settings(self) -> str:
        return (
            f'bind = "tcp://127.0.0.1:{self._port}"\nsubscribers = {self.subscribers}\n'
            "heartbeat = 1\nno_progress_timeout = 6\n"
        )

    @property
    @override
    def port(self) -> int:
        return self._port

    @override
    def arrived(self, newest: int) -> list[int]:
        file = self.folder / REQUIRED
        # What is accepted is in the file already; what isn't yet may still come.
        eventually(lambda: _last_id(file) >= newest, f"event {newest} at the subscriber", 30)
        return [int(line) for line in file.read_bytes().split()]

    @override
    def stop(self) -> None:
        if self.subscriber is not None:
            self.subscriber.kill()


def receive(address: str, name: str, file: Path) -> None:
    """Write each event's id into a file, then acknowledge it, for ever."""
    while True:
        # A proxy takes connections while no relay runs behind it, and then cuts them: that looks
        # like a relay with other keys. A supervisor would start the application again.
        with suppress(BrokerRefusedError):
            _receive(address, name, file)


def _receive(address: str, name: str, file: Path) -> None:
    with (
        file.open("ab") as effects,
        Subscriber(
            connect=address, exchange_name=EXCHANGE, name=name, last_id=_last_id(file), heartbeat=1
        ) as subscriber,
    ):
        for message in subscriber:
            os.write(effects.fileno(), b"%d\n" % int(message.message_id))
            subscriber.acknowledge(message)


def _last_id(file: Path) -> int:
    if not file.exists() or not (size := file.stat().st_size):
        return 0
    with file.open("rb") as effects:
        effects.seek(max(size - 50, 0))
        return int(effects.read().split()[-1])
