"""Every backend's contenders, and the tables that come of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import servers, stored
from benchmarks.measuring import in_rounds
from benchmarks.tables import show_rates
from benchmarks.wire import amqp, stomp_client, stream_client, zmq_client
from tidings_activemq.settings import ActiveMQSettings
from tidings_rabbitmq.settings import RabbitMQSettings
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings
from tidings_zeromq.conversation import FRAME_EVENTS
from tidings_zeromq.settings import ZeroMQSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from benchmarks.measuring import Job

RELAY = "relay"
SLOWER = 10
"""The usual way gets a tenth of the events: it takes as long for them."""


@dataclass(frozen=True)
class Backend:
    """What is measured on one backend."""

    jobs: Mapping[str, Job]
    """All but the relay."""
    relay: Callable[[str], Job]
    """Takes a database's URL."""
    clean: Callable[[str], None] | None = None
    """Called with the name of each run."""


def rabbitmq(database_url: str, count: int) -> Iterator[Backend]:
    """Start RabbitMQ; compare on a classic queue, with the lock."""
    with servers.started(servers.rabbitmq) as server:
        common = {"url": server.url, "database_url": database_url}
        window = RabbitMQSettings.model_fields["window"].default
        yield Backend(
            {
                "bare socket": partial(amqp.bare, **common, count=count, window=window),
                "pika, a confirm each": partial(amqp.blocking, **common, count=count // SLOWER),
            },
            lambda url: _relay(url, "rabbitmq", {"url": server.url}),
            partial(amqp.delete, server.url),
        )


def rabbitmq_stream(database_url: str, count: int) -> Iterator[Backend]:
    """Start RabbitMQ; compare on streams."""
    with servers.started(servers.rabbitmq) as server:
        common = {"url": server.stream_url, "database_url": database_url}
        window = RabbitMQStreamSettings.model_fields["window"].default
        usual = partial(stream_client.blocking, **common, count=count // SLOWER)
        yield Backend(
            {
                "bare socket": partial(stream_client.bare, **common, count=count, window=window),
                "rstream, a confirm each": usual,
            },
            lambda url: _relay(url, "rabbitmq-stream", {"url": server.stream_url}),
            partial(amqp.delete, server.url),
        )


def activemq(database_url: str, count: int) -> Iterator[Backend]:
    """Start ActiveMQ; compare on a virtual topic with one subscriber, with the token."""
    with servers.started(servers.WarmActiveMQ) as server:
        common = {"url": server.url, "database_url": database_url}
        fields = ActiveMQSettings.model_fields
        bare = partial(
            stomp_client.bare,
            count=count,
            window=fields["window"].default,
            batch=fields["batch_size"].default,
        )
        settings = {"url": server.url, "subscribers": [stomp_client.SUBSCRIBER]}
        usual = partial(stomp_client.blocking, **common, count=count // SLOWER)
        yield Backend(
            {
                "bare socket": partial(bare, **common),
                "stomp.py, a receipt each": usual,
            },
            lambda url: _relay(url, "activemq", settings),
            partial(stomp_client.drain, server.url),
        )


def zeromq(database_url: str, count: int) -> Iterator[Backend]:
    """Compare with one subscriber whose acknowledgement is required."""
    window = ZeroMQSettings.model_fields["window"].default
    bare = partial(zmq_client.bare, database_url=database_url, count=count, window=window)
    usual = partial(zmq_client.blocking, database_url=database_url, count=count // SLOWER)
    settings = {"subscribers": [zmq_client.SUBSCRIBER]}
    yield Backend(
        {
            "bare, an event a message": partial(bare, together=1),
            f"bare, {FRAME_EVENTS} a message": partial(bare, together=FRAME_EVENTS),
            "REQ, a reply each": usual,
        },
        lambda url: partial(zmq_client.relay, database_url=url, settings=settings),
    )


BACKENDS = {
    "rabbitmq": contextmanager(rabbitmq),
    "rabbitmq-stream": contextmanager(rabbitmq_stream),
    "activemq": contextmanager(activemq),
    "zeromq": contextmanager(zeromq),
}


def run(
    backends: tuple[str, ...], databases: tuple[str, ...], events: int, rounds: int, folder: Path
) -> None:
    """Measure, and print a table for each backend."""
    with servers.databases(databases, folder) as new_database:
        urls = {kind: new() for kind, new in new_database.items()}
        for url in urls.values():
            stored.fill(url, events + stored.WARM_UP)
        for name in backends:
            _compare(name, urls, events, rounds)


def _compare(name: str, urls: Mapping[str, str], events: int, rounds: int) -> None:
    with BACKENDS[name](next(iter(urls.values())), events) as backend:
        relays = {f"{RELAY}, {kind}": backend.relay(url) for kind, url in urls.items()}
        jobs = {**relays, **backend.jobs}
        if rounds > 1:
            in_rounds(jobs, 1, backend.clean)  # the broker's warm-up
        samples = in_rounds(jobs, rounds, backend.clean)
        for relay in relays:
            others = {other: runs for other, runs in samples.items() if other not in relays}
            title = f"{name}: {events:,} events of {stored.BODY_BYTES} bytes, {rounds} rounds"
            show_rates(title, {relay: samples[relay], **others}, relay)


def _relay(database_url: str, producer: str, settings: Mapping[str, object]) -> Job:
    return partial(stored.relaying, database_url=database_url, producer=producer, settings=settings)
