"""Where peers and the relay send to: a queue for each run, and how many messages came there."""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pika

from benchmarks import servers
from benchmarks.wire import amqp, stomp_client
from tidings_activemq import destinations
from tidings_activemq.frames import frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

_PREFETCH = "10000"
PATIENCE = 30.0
_SILENCE = 1.0


class Broker(Protocol):
    """A running broker; it can be pickled."""

    producer: ClassVar[str]
    """How tidings names it."""

    @property
    def url(self) -> str:
        """Its address, with the password."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The producer's."""

    def prepare(self, run: str) -> None:
        """Make what takes a run's messages, as the relay makes it."""

    def destination(self, run: str) -> str:
        """Return where a client sends a run's messages."""

    def arrived(self, run: str, expected: int) -> int:
        """Return how many of a run's messages came."""

    def delete(self, run: str) -> None:
        """Delete a run's messages, lest they slow the broker down."""


@dataclass(frozen=True)
class RabbitMQ:
    """A durable fanout exchange and a durable queue, both with the run's name."""

    producer: ClassVar[str] = "rabbitmq"
    url: str

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"url": self.url}

    def prepare(self, run: str) -> None:
        amqp.declare(self.url, run)

    def destination(self, run: str) -> str:
        return run

    def arrived(self, run: str, expected: int) -> int:  # noqa: ARG002 - the broker counts itself
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        found = connection.channel().queue_declare(run, passive=True)
        connection.close()
        return int(found.method.message_count)

    def delete(self, run: str) -> None:
        amqp.delete(self.url, run)


@dataclass(frozen=True)
class ActiveMQ:
    """A virtual topic with the run's name, and the queue of its one subscriber."""

    producer: ClassVar[str] = "activemq"
    url: str

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"url": self.url, "subscribers": [stomp_client.SUBSCRIBER]}

    def prepare(self, run: str) -> None:
        stomp_client.make_queue(self.url, run)

    def destination(self, run: str) -> str:
        return destinations.topic(run)

    def arrived(self, run: str, expected: int) -> int:
        """Take the messages off the queue, as it has no other way to count them."""
        queue = destinations.subscriber_queue(run, stomp_client.SUBSCRIBER)
        headers = {"id": "1", "destination": queue, "activemq.prefetchSize": _PREFETCH}
        found = 0
        with closing(stomp_client.Session(self.url)) as session, suppress(TimeoutError):
            session.write(frame("SUBSCRIBE", headers))
            while True:
                patience = PATIENCE if found < expected else _SILENCE
                found += session.receive(b"MESSAGE", patience)
        return found

    def delete(self, run: str) -> None:
        """Do nothing: counting has emptied the queue."""


def require(broker: Broker, run: str, expected: int) -> None:
    """Raise ``RuntimeError`` if not exactly the expected messages of a run came."""
    if (arrived := broker.arrived(run, expected)) != expected:
        raise RuntimeError(f"Of {expected:,} events {arrived:,} came to the broker's queue.")


@contextmanager
def rabbitmq() -> Iterator[Broker]:
    """Start RabbitMQ."""
    with servers.started(servers.rabbitmq) as server:
        yield RabbitMQ(server.url)


@contextmanager
def activemq() -> Iterator[Broker]:
    """Start ActiveMQ."""
    with servers.started(servers.WarmActiveMQ) as server:
        yield ActiveMQ(server.url)


STARTED: dict[str, Callable[[], AbstractContextManager[Broker]]] = {
    RabbitMQ.producer: rabbitmq,
    ActiveMQ.producer: activemq,
}
