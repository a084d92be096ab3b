"""Real servers on private ports, as the tests start them; they go when the benchmark ends."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

from tests.servers import ActiveMQ, MariaDB, PostgreSQL, RabbitMQ, Server, new_directory
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

AnyServer = TypeVar("AnyServer", bound=Server)


class WarmActiveMQ(ActiveMQ):
    """ActiveMQ as it runs for long: with the compiler and collector that Java itself chooses."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, heap="2g", memory_limit="1 gb", store_limit="20 gb")

    @override
    def command(self) -> Sequence[str | Path]:
        """Leave out what makes a test's broker start quickly."""
        quick = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        return [word for word in super().command() if word not in quick]


@contextmanager
def started(make: Callable[[Path], AnyServer]) -> Iterator[AnyServer]:
    """Start a server in a folder of its own; leave neither behind."""
    server = make(new_directory())
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.directory)


def rabbitmq(directory: Path) -> RabbitMQ:
    """Make a RabbitMQ with streams."""
    return RabbitMQ(directory, stream=True)


@contextmanager
def database(kind: str, folder: Path) -> Iterator[Callable[[], str]]:
    """Give a function that makes an empty database of that kind and returns its URL."""
    if kind == "sqlite":
        made = 0

        def new_file() -> str:
            nonlocal made
            made += 1
            return f"sqlite:///{folder / f'events-{made}.db'}"

        yield new_file
        return
    with started(DATABASES[kind]) as server:
        yield server.new_database


DATABASES: dict[str, Callable[[Path], PostgreSQL | MariaDB]] = {
    "postgresql": PostgreSQL,
    "mariadb": MariaDB,
}
KINDS = ("sqlite", *DATABASES)


@contextmanager
def databases(kinds: Iterable[str], folder: Path) -> Iterator[dict[str, Callable[[], str]]]:
    """Give what :func:`database` gives, for each kind."""
    with ExitStack() as stack:
        yield {kind: stack.enter_context(database(kind, folder)) for kind in kinds}
