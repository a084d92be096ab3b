"""ActiveMQ: a virtual topic, whose subscriber queue is read with stomp.py."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import stomp
from typing_extensions import override

from tests.chaos.backends.base import EXCHANGE, LONGEST_SILENCE, QUIET, Backend, at_port
from tests.servers import ActiveMQ

if TYPE_CHECKING:
    from pathlib import Path


class ActiveMQBackend(Backend):
    """One subscriber queue."""

    name = producer = "activemq"
    server: ActiveMQ
    subscribers = '["independent"]'

    def __init__(self, folder: Path, store_limit: str = "20 gb") -> None:
        super().__init__(folder)
        self.server = ActiveMQ(folder / "server", store_limit=store_limit)
        self._arrived: list[int] = []

    @override
    def start(self, proxy_port: int | None) -> None:
        self._proxy_port = proxy_port
        self.server.start()

    @override
    def settings(self) -> str:
        url = at_port(self.server.url, self._proxy_port)
        return (
            f'url = "{url}"\nsubscribers = {self.subscribers}\n'
            "heartbeat = 2\nno_progress_timeout = 6\n"
        )

    @property
    @override
    def port(self) -> int:
        return urlsplit(self.server.url).port or 0

    def drain(self, newest: int | None = None) -> None:
        """Take what there is from the queue; if ``newest`` is known, up to it at least."""
        parts = urlsplit(self.server.url)
        collector = _Collector(newest)
        connection = stomp.Connection12([(parts.hostname, parts.port)])
        connection.set_listener("", collector)
        connection.connect(parts.username, parts.password, wait=True)
        connection.subscribe(
            f"/queue/Consumer.independent.VirtualTopic.{EXCHANGE}",
            id="1",
            headers={"activemq.prefetchSize": "5000"},
        )
        self._arrived += collector.until_quiet()
        connection.disconnect()

    def journal_files(self) -> int:
        """Return how many files the store has."""
        return len(list(self.server.directory.glob("data/kahadb/db-*.log")))

    @override
    def arrived(self, newest: int) -> list[int]:
        self.drain(newest)
        return self._arrived

    @override
    def stop(self) -> None:
        self.server.stop()


class _Collector(stomp.ConnectionListener):  # type: ignore[misc] # stomp.py ships no types
    def __init__(self, newest: int | None) -> None:
        self._newest = newest
        self._reached = newest is None
        self._found: list[int] = []
        self._changed = threading.Condition()

    def on_message(self, frame: Any) -> None:
        with self._changed:
            self._found.append(int(frame.headers["event-id"]))
            self._reached = self._reached or self._found[-1] == self._newest
            self._changed.notify_all()

    def until_quiet(self) -> list[int]:
        with self._changed:
            count = -1
            while count != len(self._found):
                count = len(self._found)
                self._changed.wait_for(
                    lambda: len(self._found) > count,  # noqa: B023 - called at once
                    QUIET if self._reached else LONGEST_SILENCE,
                )
            return self._found
