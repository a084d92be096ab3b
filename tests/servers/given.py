"""Servers that somebody else runs (see compose.yaml), given to the tests by their addresses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn, Protocol
from urllib.parse import urlsplit

import pytest

from tests.servers.databases import create_database, drop_database

if TYPE_CHECKING:
    from collections.abc import Mapping

STREAM_PORT = 5552


class Broker(Protocol):
    """What every test may ask of a broker, whoever runs it."""

    @property
    def url(self) -> str:
        """The address, as it stands in tidings.toml."""


class StreamBroker(Broker, Protocol):
    """What every test may ask of RabbitMQ."""

    stream_port: int

    @property
    def stream_url(self) -> str:
        """The address for the stream protocol."""

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl`; skips the test if somebody else runs the broker."""

    def add_user(self, user: str, password: str, *, configure: str, write: str, read: str) -> str:
        """Make a user with these permissions and return its URL; skips like `ctl`."""

    def add_vhost(self, name: str, password: str, limits: Mapping[str, int]) -> str:
        """Make a virtual host with these limits, and its user; return its URL; skips like `ctl`."""


class DatabaseServer(Protocol):
    """What every test may ask of a database server."""

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of a user who may make databases."""

    def new_database(self) -> str:
        """Make an empty database and return its URL."""


def given_url(server: str) -> str | None:
    """Return the address that the environment gives for `server` ("RABBITMQ"), if any."""
    return os.environ.get(f"TIDINGS_TEST_{server}_URL") or None


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it if `TIDINGS_REQUIRE_SERVERS=1` says that nothing may lack."""
    if os.environ.get("TIDINGS_REQUIRE_SERVERS") == "1":
        pytest.fail(f"{reason} (TIDINGS_REQUIRE_SERVERS=1)", pytrace=False)
    pytest.skip(reason)


class GivenBroker:
    """A broker known by its address alone."""

    def __init__(self, url: str) -> None:
        """Take the address."""
        self._url = url

    @property
    def url(self) -> str:
        """The address, as it was given."""
        return self._url


class GivenRabbitMQ(GivenBroker):
    """A RabbitMQ known by its address; streams are on the usual port unless given."""

    def __init__(self, url: str, stream_url: str | None) -> None:
        """Take the addresses for AMQP and, if it differs from the usual, for streams."""
        super().__init__(url)
        usual = urlsplit(url)
        login, at, _ = usual.netloc.rpartition("@")
        netloc = f"{login}{at}{usual.hostname}:{STREAM_PORT}"
        self.stream_url = stream_url or f"rabbitmq-stream://{netloc}{usual.path}"
        self.stream_port = urlsplit(self.stream_url).port or STREAM_PORT

    def ctl(self, *arguments: str) -> str:
        """Skip the test."""
        missing(f"rabbitmqctl {arguments[0]} needs a RabbitMQ that the tests started themselves")

    def add_user(self, user: str, password: str, *, configure: str, write: str, read: str) -> str:
        """Skip the test."""
        missing("adding a user needs a RabbitMQ that the tests started themselves")

    def add_vhost(self, name: str, password: str, limits: Mapping[str, int]) -> str:
        """Skip the test."""
        missing("adding a virtual host needs a RabbitMQ that the tests started themselves")


class GivenDatabaseServer:
    """A database server known by its address; we leave none of our databases in it."""

    def __init__(self, url: str) -> None:
        """Take the address of a user who may make databases."""
        self.url = url
        self._made: list[str] = []

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        self._made.append(create_database(self.url))
        return self._made[-1]

    def drop_databases(self) -> None:
        """Drop every database that `new_database` made."""
        while self._made:
            drop_database(self.url, self._made.pop())
