"""The examples of subscribers, killed after their commit and before their acknowledgement."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from tests.command import Project
from tests.servers import free_port
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples" / "subscribers"
DYING = Path(__file__).with_name("die_at_acknowledgement.py")
EVENTS = 3
CONFIGURATION = """
[event_store]
url = "sqlite:///events.db"

[exchanges.{exchange}]
producer = "{backend}"

[producers.{backend}]
{settings}
"""


class Billing:
    """One of the examples, and the database that it writes bills to."""

    def __init__(self, folder: Path, backend: str, exchange: str, *broker: str) -> None:
        self.folder = folder
        self.database = folder / "billing.db"
        example = str(EXAMPLES / f"{backend}.py")
        self.arguments = [example, *broker, f"sqlite:///{self.database}", exchange]
        self.environment: dict[str, str] = {}

    @contextmanager
    def running(self, *before: Path) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / "said").open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, *map(str, before), *self.arguments],
                stdout=out,
                cwd=self.folder,
                env=os.environ | self.environment,
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    @property
    def said(self) -> list[str]:
        return (self.folder / "said").read_text().splitlines()

    @property
    def bills(self) -> list[str]:
        with sqlite3.connect(self.database) as connection:
            rows = connection.execute("SELECT details FROM bill ORDER BY bill_id").fetchall()
        connection.close()
        return [details for (details,) in rows]


@pytest.fixture
def exchange() -> str:
    return f"orders-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.configure('[event_store]\nurl = "sqlite:///events.db"\n')
    project.succeed("init", "--tables")
    project.append_numbers(1, EVENTS)
    return project


@pytest.fixture(params=["rabbitmq", "activemq", "zeromq"])
def billing(
    request: pytest.FixtureRequest, project: Project, exchange: str, tmp_path: Path
) -> Billing:
    """Give an example for a broker to which the relay, if it runs, sends three events."""
    backend: str = request.param
    if backend == "zeromq":
        url = f"tcp://127.0.0.1:{free_port()}"
        settings = f'bind = "{url}"\nsubscribers = ["billing"]'
    else:
        url = request.getfixturevalue(backend).url
        settings = f'url = "{url}"'
    parts = urlsplit(url)
    broker = [url]
    if backend == "activemq":
        settings += '\nsubscribers = ["billing"]'
        broker = [str(parts.hostname), str(parts.port)]
    project.configure(CONFIGURATION.format(exchange=exchange, backend=backend, settings=settings))
    billing = Billing(tmp_path, backend, exchange, *broker)
    billing.environment["ACTIVEMQ_USER"] = unquote(parts.username or "")
    billing.environment["ACTIVEMQ_PASSWORD"] = unquote(parts.password or "")
    return billing


def test_a_subscriber_killed_before_its_acknowledgement_bills_once(
    billing: Billing, project: Project
) -> None:
    with project.running("run"):
        with billing.running(DYING) as process:
            assert process.wait(60) == -signal.SIGKILL
        assert billing.bills == ['{"n":1}'], "it was not killed right after its first commit"
        with billing.running():
            eventually(lambda: len(billing.said) == EVENTS, "the redelivered messages", 60)
    assert billing.said == ["1 was billed before", "2 billed", "3 billed"]
    assert billing.bills == ['{"n":1}', '{"n":2}', '{"n":3}']


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_stays_short_enough_to_be_read(example: Path) -> None:
    assert len(example.read_text().splitlines()) < 60
