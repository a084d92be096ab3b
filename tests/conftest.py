"""Fixtures that every test may use: real servers, and databases in them.

The shared servers start at their first use and end with the session: take names of your own in
them. A test that kills, freezes or reconfigures a server takes one of its own (`own_...`).
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import hypothesis
import pytest

from tests.matrix.suite import LACKS
from tests.servers import (
    ActiveMQ,
    Certificates,
    MariaDB,
    PostgreSQL,
    Prometheus,
    RabbitMQ,
    Redis,
    Server,
    new_directory,
)
from tests.servers.databases import drop_database
from tests.servers.given import (
    Broker,
    DatabaseServer,
    GivenBroker,
    GivenDatabaseServer,
    GivenRabbitMQ,
    StreamBroker,
    given_url,
    missing,
)
from tests.servers.marking import mark
from tests.servers.process import forget_ports
from tidings.builtin.memory import of_this_process

if TYPE_CHECKING:
    from pathlib import Path

# How fast this machine is just now says nothing of what is tested.
hypothesis.settings.register_profile(
    "tidings", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tidings")

AnyServer = TypeVar("AnyServer", bound=Server)
Factory = Callable[..., AnyServer]


@pytest.fixture
def server_lacks(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Note what an older server hasn't, where a test does something else for it.

    The matrix writes it into docs/support.md, as it does with the reason of a test that is skipped.
    """
    return partial(record_property, LACKS)


@pytest.fixture(autouse=True)
def fresh_memory() -> Iterator[None]:
    """Let nothing of this test stay in the parts in memory, of which a process has one each."""
    yield
    for part in (of_this_process.event_store, of_this_process.tracker, of_this_process.broker):
        part.cache_clear()


@pytest.fixture(autouse=True)
def fresh_logging() -> Iterator[None]:
    """Let nothing of this test stay in the loggers that a command sets up for its process."""
    loggers = [logging.getLogger(name) for name in (None, "tidings")]
    before = [(each, each.level, each.propagate, list(each.handlers)) for each in loggers]
    yield
    for logger, level, propagate, handlers in before:
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[StreamBroker]:
    """Give the session's RabbitMQ, with streams."""
    if url := given_url("RABBITMQ"):
        yield GivenRabbitMQ(url, given_url("RABBITMQ_STREAM"))
        return
    with servers(RabbitMQ) as start:
        yield start(stream=True)


@pytest.fixture(scope="session")
def activemq() -> Iterator[Broker]:
    """Give the session's ActiveMQ."""
    if url := given_url("ACTIVEMQ"):
        yield GivenBroker(url)
        return
    with servers(ActiveMQ) as start:
        yield start()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Broker]:
    """Give the session's Redis."""
    if url := given_url("REDIS"):
        yield GivenBroker(url)
        return
    with servers(Redis) as start:
        yield start()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[DatabaseServer]:
    """Give the session's PostgreSQL; `new_database()` makes an empty database in it."""
    if url := given_url("POSTGRESQL"):
        yield from given_database_server(url)
        return
    with servers(PostgreSQL) as start:
        yield start()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[DatabaseServer]:
    """Give the session's MariaDB; `new_database()` makes an empty database in it."""
    if url := given_url("MARIADB"):
        yield from given_database_server(url)
        return
    with servers(MariaDB) as start:
        yield start()


@pytest.fixture
def own_rabbitmq() -> Iterator[Factory[RabbitMQ]]:
    """Give a function that starts a RabbitMQ for this test alone; it takes RabbitMQ's options."""
    with servers(RabbitMQ) as start:
        yield start


@pytest.fixture
def own_activemq() -> Iterator[Factory[ActiveMQ]]:
    """Give a function that starts an ActiveMQ for this test alone; it takes ActiveMQ's options."""
    with servers(ActiveMQ) as start:
        yield start


@pytest.fixture
def own_postgresql() -> Iterator[Factory[PostgreSQL]]:
    """Give a function that starts a PostgreSQL for this test alone."""
    with servers(PostgreSQL) as start:
        yield start


@pytest.fixture
def own_mariadb() -> Iterator[Factory[MariaDB]]:
    """Give a function that starts a MariaDB for this test alone."""
    with servers(MariaDB) as start:
        yield start


@pytest.fixture
def own_prometheus() -> Iterator[Factory[Prometheus]]:
    """Give a function that starts a Prometheus for this test alone; it takes its target."""
    with servers(Prometheus) as start:
        yield start


@pytest.fixture(scope="session")
def certificates() -> Iterator[Certificates]:
    """Give certificates for TLS tests, good ones and bad ones, readable by every server."""
    directory = new_directory()
    yield Certificates.create(directory)
    shutil.rmtree(directory)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the SQLAlchemy URL of a fresh, empty database, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'events.db'}"
        return
    server: DatabaseServer = request.getfixturevalue(request.param)
    url = server.new_database()
    yield url
    drop_database(server.url, url)


@contextmanager
def servers(kind: type[AnyServer]) -> Iterator[Factory[AnyServer]]:
    """Give a function that starts servers of `kind`; leave none of them, nor their folders."""
    if reason := kind.available():
        missing(reason)
    started: list[AnyServer] = []

    def start(**options: Any) -> AnyServer:
        server = kind(new_directory(), **options)
        started.append(server)
        server.start()
        return server

    try:
        yield start
    finally:
        for server in started:
            server.stop()
            shutil.rmtree(server.directory)


def given_database_server(url: str) -> Iterator[DatabaseServer]:
    """Give somebody else's database server, and leave it without our databases."""
    server = GivenDatabaseServer(url)
    yield server
    server.drop_databases()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server, before marks are looked at."""
    mark(items)


def pytest_sessionfinish() -> None:
    """Leave no notes behind."""
    forget_ports()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what was skipped, and why: a green run that skipped half should look like one."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)
    if reasons:
        terminalreporter.section("skipped, and why")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:5} {'test' if count == 1 else 'tests'}: {reason}")
