"""The backends under test: a server, a configuration, and a reader that is not ours."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import pika
import stomp

from tests.servers import ActiveMQ, RabbitMQ, free_port, new_directory
from tidings_zeromq.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

EXCHANGE = "chaos"
QUIET = 3.0
"""Seconds without a message after which a queue is taken to be empty."""


class Backend(ABC):
    """One kind of broker, started for one run."""

    name: str
    producer: str
    server: Server | None = None
    allowed_per_kill = 0
    """Duplicates that a killed relay may cause: at most one window."""

    @abstractmethod
    def start(self) -> None:
        """Start the server, and let the reader's queue exist before anything is sent."""

    @abstractmethod
    def settings(self, port: int) -> str:
        """Return the lines of ``[producers.…]`` for a broker at ``port``."""

    @property
    @abstractmethod
    def port(self) -> int:
        """Where the broker listens."""

    @abstractmethod
    def arrived(self) -> list[int]:
        """Return the ids that have arrived since the start, in their order."""

    @abstractmethod
    def stop(self) -> None:
        """Stop everything."""


class RabbitMQBackend(Backend):
    """Classic queues; read with pika from a queue of the test's own."""

    producer = "rabbitmq"
    queue = "independent"

    def __init__(self, resume: str) -> None:
        self.name = f"rabbitmq, resume = {resume}"
        self._resume = resume
        self.allowed_per_kill = 0 if resume == "tail" else 2000
        self.server: RabbitMQ = RabbitMQ(new_directory(), stream=True)

    def start(self) -> None:
        self.server.start()
        with self._channel() as channel:
            channel.exchange_declare(EXCHANGE, "fanout", durable=True)
            channel.queue_declare(self.queue, durable=True)
            channel.queue_bind(self.queue, EXCHANGE)

    def settings(self, port: int) -> str:
        url = at_port(self.server.url, port)
        return f'url = "{url}"\nresume = "{self._resume}"\nheartbeat = 5\nno_progress_timeout = 6\n'

    @property
    def port(self) -> int:
        return urlsplit(self.server.url).port or 0

    def arrived(self) -> list[int]:
        with self._channel() as channel:
            return consumed(channel, self.queue)

    def stop(self) -> None:
        self.server.stop()

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        connection = pika.BlockingConnection(pika.URLParameters(self.server.url))
        try:
            yield connection.channel()
        finally:
            connection.close()


class RabbitMQStreamBackend(RabbitMQBackend):
    """A stream; read from its beginning with pika, over AMQP."""

    producer = "rabbitmq-stream"

    def __init__(self) -> None:
        super().__init__("tail")
        self.name = "rabbitmq-stream"

    def start(self) -> None:
        self.server.start()

    def settings(self, port: int) -> str:
        return f'url = "{at_port(self.server.stream_url, port)}"\n'

    @property
    def port(self) -> int:
        return self.server.stream_port

    def arrived(self) -> list[int]:
        with self._channel() as channel:
            return consumed(channel, EXCHANGE, {"x-stream-offset": "first"})


class ActiveMQBackend(Backend):
    """A virtual topic; read with stomp.py as a second subscriber."""

    name = producer = "activemq"

    def __init__(self) -> None:
        self.server: ActiveMQ = ActiveMQ(new_directory())

    def start(self) -> None:
        self.server.start()

    def settings(self, port: int) -> str:
        url = at_port(self.server.url, port)
        return (
            f'url = "{url}"\nsubscribers = ["app", "independent"]\n'
            "heartbeat = 2\nno_progress_timeout = 6\n"
        )

    @property
    def port(self) -> int:
        return urlsplit(self.server.url).port or 0

    def arrived(self) -> list[int]:
        parts = urlsplit(self.server.url)
        collector = _Collector()
        connection = stomp.Connection12([(parts.hostname, parts.port)])
        connection.set_listener("", collector)
        connection.connect(parts.username, parts.password, wait=True)
        connection.subscribe(f"/queue/Consumer.independent.VirtualTopic.{EXCHANGE}", id="1")
        found = collector.until_quiet()
        connection.disconnect()
        return found

    def stop(self) -> None:
        self.server.stop()


class _Collector(stomp.ConnectionListener):  # type: ignore[misc]
    def __init__(self) -> None:
        self._found: list[int] = []
        self._changed = threading.Condition()

    def on_message(self, frame: Any) -> None:
        with self._changed:
            self._found.append(int(frame.headers["event-id"]))
            self._changed.notify_all()

    def until_quiet(self) -> list[int]:
        with self._changed:
            count = -1
            while count != len(self._found):
                count = len(self._found)
                self._changed.wait_for(lambda: len(self._found) > count, QUIET)  # noqa: B023
            return self._found


class ZeroMQBackend(Backend):
    """No broker: a subscriber in a thread, which keeps its last id."""

    name = producer = "zeromq"

    def __init__(self) -> None:
        self._port = free_port()
        self._arrived: list[int] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._subscribe, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def settings(self, port: int) -> str:
        return f'bind = "tcp://127.0.0.1:{port}"\nsubscribers = ["independent"]\n'

    @property
    def port(self) -> int:
        return self._port

    def arrived(self) -> list[int]:
        return list(self._arrived)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _subscribe(self) -> None:
        connect = f"tcp://127.0.0.1:{self._port}"
        with Subscriber(
            connect=connect, exchange_name=EXCHANGE, name="independent", last_id=0
        ) as subscriber:
            while not self._stopping.is_set():
                message = subscriber.receive(0.2)
                if message is not None:
                    self._arrived.append(int(message.message_id))
                    subscriber.acknowledge(message)


def at_port(url: str, port: int) -> str:
    """Return ``url`` with another port: that of a proxy."""
    parts = urlsplit(url)
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return urlunsplit(parts._replace(netloc=f"{login}127.0.0.1:{port}"))


def consumed(channel: Any, queue: str, arguments: dict[str, Any] | None = None) -> list[int]:
    """Return the message ids in a queue, until it has been quiet for a while."""
    channel.basic_qos(prefetch_count=1000)
    found: list[int] = []
    for method, properties, _body in channel.consume(
        queue, arguments=arguments, inactivity_timeout=QUIET
    ):
        if method is None:
            break
        found.append(int(properties.message_id))
        channel.basic_ack(method.delivery_tag)
    channel.cancel()
    return found


BACKENDS = {
    "rabbitmq": lambda: RabbitMQBackend("tracker"),
    "rabbitmq-tail": lambda: RabbitMQBackend("tail"),
    "rabbitmq-stream": RabbitMQStreamBackend,
    "activemq": ActiveMQBackend,
    "zeromq": ZeroMQBackend,
}
