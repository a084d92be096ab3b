"""Every backend's server, and who publishes to it."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import servers, stored
from benchmarks.wire import amqp, librabbitmq, stomp_client, stream_client, zmq_client
from tidings_activemq.settings import ActiveMQSettings
from tidings_rabbitmq.settings import RabbitMQSettings
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings
from tidings_zeromq.settings import ZeroMQSettings
from tidings_zeromq.supply import FRAME_EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import BaseModel

    from benchmarks.measuring import Job

SLOWER = 10
"""The usual way gets a tenth of the events: it takes as long for them."""

NewJob = partial[Any]
"""Called with ``database_url``, and ``count`` if it isn't the relay's."""


@dataclass(frozen=True)
class Backend:
    """What is measured on one backend, with its server running."""

    relay: NewJob
    """Lacks ``database_url``; takes ``warm_up``."""
    others: Mapping[str, NewJob]
    """Lack ``database_url`` and ``count``."""
    usual: Mapping[str, NewJob]
    """Lack the same, and get fewer events."""
    bare: str
    """Which of the others is the bare client: the same bytes put together in the same way."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Contenders that cannot run on this machine, with the reason."""
    clean: Callable[[str], None] | None = None
    """Called with the name of each run."""

    def relaying(self, database_url: str, warm_up: int = stored.WARM_UP) -> Job:
        """Relay all of a database; ``warm_up`` events of it before the clock starts."""
        return partial(self.relay, database_url=database_url, warm_up=warm_up)

    def pushing(self, database_url: str, count: int) -> Job:
        """Push as many of a database's events with the bare client."""
        return partial(self.others[self.bare], database_url=database_url, count=count)

    def contenders(self, database_url: str, count: int) -> dict[str, Job]:
        """Return all but the relay, to publish as many events (the usual way: fewer)."""
        numbers = dict.fromkeys(self.others, count)
        numbers |= dict.fromkeys(self.usual, count // SLOWER)
        return {
            name: partial(job, database_url=database_url, count=numbers[name])
            for name, job in (*self.others.items(), *self.usual.items())
        }


def rabbitmq() -> Iterator[Backend]:
    """Start RabbitMQ; compare on a classic queue, with the lock."""
    with servers.started(servers.rabbitmq) as server, tempfile.TemporaryDirectory() as folder:
        common = {"url": server.url, "window": default(RabbitMQSettings, "window")}
        others: dict[str, NewJob] = {"bare socket": partial(amqp.bare, **common)}
        absent: dict[str, str] = {}
        try:
            program = librabbitmq.compiled(Path(folder))
            others["librabbitmq (C)"] = partial(librabbitmq.publishing, program=program, **common)
        except librabbitmq.NotThereError as reason:
            absent["librabbitmq (C)"] = str(reason)
        yield Backend(
            relay("rabbitmq", url=server.url),
            others,
            {"pika, a confirm each": partial(amqp.blocking, url=server.url)},
            "bare socket",
            absent,
            partial(amqp.delete, server.url),
        )


def rabbitmq_stream() -> Iterator[Backend]:
    """Start RabbitMQ; compare on streams."""
    with servers.started(servers.rabbitmq) as server:
        url, window = server.stream_url, default(RabbitMQStreamSettings, "window")
        yield Backend(
            relay("rabbitmq-stream", url=url),
            {"bare socket": partial(stream_client.bare, url=url, window=window)},
            {"rstream, a confirm each": partial(stream_client.blocking, url=url)},
            "bare socket",
            clean=partial(amqp.delete, server.url),
        )


def activemq() -> Iterator[Backend]:
    """Start ActiveMQ; compare on a virtual topic with one subscriber, with the token."""
    with servers.started(servers.WarmActiveMQ) as server:
        bare = partial(
            stomp_client.bare,
            url=server.url,
            window=default(ActiveMQSettings, "window"),
            batch=default(ActiveMQSettings, "batch_size"),
        )
        yield Backend(
            relay("activemq", url=server.url, subscribers=[stomp_client.SUBSCRIBER]),
            {"bare socket": bare},
            {"stomp.py, a receipt each": partial(stomp_client.blocking, url=server.url)},
            "bare socket",
            clean=partial(stomp_client.drain, server.url),
        )


def zeromq() -> Iterator[Backend]:
    """Compare with one subscriber whose acknowledgement is required."""
    limits = {name: default(ZeroMQSettings, name) for name in ("window", "window_bytes")}
    counted = partial(zmq_client.counted, **limits)
    decoded = f"bare, {FRAME_EVENTS} a message, decoded by the same subscriber"
    yield Backend(
        partial(zmq_client.relay, settings={"subscribers": [zmq_client.SUBSCRIBER]}),
        {
            decoded: partial(zmq_client.decoded, **limits),
            f"bare, {FRAME_EVENTS} a message, only counted": partial(
                counted, together=FRAME_EVENTS
            ),
            "bare, an event a message, only counted": partial(counted, together=1),
        },
        {"REQ, a reply each, only counted": partial(zmq_client.blocking)},
        decoded,
    )


BACKENDS = {
    "rabbitmq": contextmanager(rabbitmq),
    "rabbitmq-stream": contextmanager(rabbitmq_stream),
    "activemq": contextmanager(activemq),
    "zeromq": contextmanager(zeromq),
}


def default(settings: type[BaseModel], name: str) -> Any:
    """Return what the relay's producer has if nobody sets it."""
    return settings.model_fields[name].default


def relay(producer: str, **settings: Any) -> NewJob:
    """Return the relay, with what must be set for it."""
    return partial(stored.relaying, producer=producer, settings=settings)
