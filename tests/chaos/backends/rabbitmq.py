"""RabbitMQ: queues and streams, both read with pika."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pika
from typing_extensions import override

from tests.chaos.backends.base import EXCHANGE, LONGEST_SILENCE, QUIET, Backend, at_port
from tests.servers import RabbitMQ

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WINDOW = 2000
"""The producer's default: what a crash republishes at most."""


class RabbitMQBackend(Backend):
    """Classic queues."""

    producer = "rabbitmq"
    server: RabbitMQ

    def __init__(self, folder: Path, resume: str = "tracker") -> None:
        super().__init__(folder)
        self.name = "rabbitmq" if resume == "tracker" else f'rabbitmq, resume = "{resume}"'
        self._resume = resume
        # What the tail remembers ends with the broker.
        self.republished_by_broker = WINDOW
        self.republished = 0 if resume == "tail" else WINDOW
        self.server = RabbitMQ(folder / "server", stream=True)

    @override
    def start(self, proxy_port: int | None) -> None:
        self._proxy_port = proxy_port
        self.server.start()

    @override
    def settings(self) -> str:
        url = at_port(self.server.url, self._proxy_port)
        return f'url = "{url}"\nresume = "{self._resume}"\nheartbeat = 5\nno_progress_timeout = 6\n'

    @property
    @override
    def port(self) -> int:
        return urlsplit(self.server.url).port or 0

    @override
    def arrived(self, newest: int) -> list[int]:
        with self.channel() as channel:
            return _consumed(channel, EXCHANGE, newest)

    @override
    def stop(self) -> None:
        self.server.stop()

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """Give a channel of the test's own, past any proxy."""
        connection = pika.BlockingConnection(pika.URLParameters(self.server.url))
        try:
            yield connection.channel()
        finally:
            connection.close()


class RabbitMQStreamBackend(RabbitMQBackend):
    """A stream; read from its beginning, over AMQP 0-9-1."""

    producer = "rabbitmq-stream"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.name = "rabbitmq-stream"
        self.republished = self.republished_by_broker = 0

    @override
    def start(self, proxy_port: int | None) -> None:
        super().start(proxy_port)
        # RabbitMQ 3.10 writes down its very first stream late: killed within a second, it never
        # gets the coordinator of streams back ("nodedown"). A clean stop has it written.
        with self.channel() as channel:
            stream = {"x-queue-type": "stream"}
            channel.queue_declare(EXCHANGE, durable=True, arguments=stream)
        self.server.restart()

    @override
    def settings(self) -> str:
        url = at_port(self.server.stream_url, self._proxy_port)
        return f'url = "{url}"\nheartbeat = 5\nno_progress_timeout = 6\n'

    @property
    @override
    def port(self) -> int:
        return self.server.stream_port

    @override
    def arrived(self, newest: int) -> list[int]:
        with self.channel() as channel:
            return _consumed(channel, EXCHANGE, newest, {"x-stream-offset": "first"})


def _consumed(
    channel: Any, queue: str, newest: int, arguments: dict[str, Any] | None = None
) -> list[int]:
    """Return the message ids in a queue, to ``newest`` and on until it has been quiet."""
    channel.basic_qos(prefetch_count=5000)
    found: list[int] = []
    reached, tag = False, 0

    def take(_channel: object, method: Any, properties: Any, _body: bytes) -> None:
        nonlocal reached, tag
        found.append(int(properties.message_id))
        tag = method.delivery_tag
        reached = reached or found[-1] == newest
        if len(found) % 1000 == 0:
            channel.basic_ack(tag, multiple=True)

    channel.basic_consume(queue, take, arguments=arguments)
    count, last = 0, time.monotonic()
    while time.monotonic() - last < (QUIET if reached else LONGEST_SILENCE):
        channel.connection.process_data_events(time_limit=0.5)
        if count != len(found):
            count, last = len(found), time.monotonic()
    if len(found) % 1000:
        channel.basic_ack(tag, multiple=True)
    return found
