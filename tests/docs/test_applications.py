"""The consumer of the page for applications works, with each broker, and under kills."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command import Project
from tests.servers import free_port
from tidings import Tidings
from tidings.errors import ConfigurationError
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.given import Broker, StreamBroker

PAGE = (Path(__file__).parents[2] / "docs" / "applications.md").read_text(encoding="utf-8")
(CONFIGURATION,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
CONSUMER, IMPORTS, ASYNC_CONSUMER, ASYNC_IMPORTS = re.findall(
    r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL
)
HANDLE = """
import os, signal
from sqlalchemy import text

def handle(session, message):
    session.execute(text("CREATE TABLE IF NOT EXISTS bill (event_id TEXT, body TEXT)"))
    session.execute(
        text("INSERT INTO bill VALUES (:i, :b)"), {"i": message.message_id, "b": message.body}
    )
    if os.environ.get("DIE_BEFORE_COMMIT") == message.message_id:
        os.kill(os.getpid(), signal.SIGKILL)
"""
DYING = """
    original = consumer.acknowledge
    def acknowledge(message):
        if os.environ.get("DIE_AFTER_COMMIT") == message.message_id:
            os.kill(os.getpid(), signal.SIGKILL)
        original(message)
    consumer.acknowledge = acknowledge
"""

ASYNC_HANDLE = """
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

async def handle(session, message):
    await session.execute(text("CREATE TABLE IF NOT EXISTS bill (event_id TEXT)"))
    await session.execute(text("INSERT INTO bill VALUES (:i)"), {"i": message.message_id})
    if message.message_id == "3":
        asyncio.get_running_loop().call_later(0.1, task.cancel)

async def main():
    global task
    engine = create_async_engine("sqlite+aiosqlite:///billing.db")
    task = asyncio.create_task(consume(engine))
    try:
        await task
    except asyncio.CancelledError:
        print("closed")
    await engine.dispose()

"""


@contextmanager
def application(name: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the page's consumer; it kills itself if the environment says so."""
    (folder / "app.py").write_text(
        IMPORTS
        + HANDLE
        + CONSUMER.replace("try:\n", f"try:\n{DYING}", 1).replace("my-bc-app", name)
    )
    with subprocess.Popen(
        [sys.executable, "app.py"], cwd=folder, env={**os.environ, **environment}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def bills(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "billing.db")) as database:
        try:
            return [row[0] for row in database.execute("SELECT event_id FROM bill ORDER BY rowid")]
        except sqlite3.OperationalError:  # no table yet
            return []


def shop(
    tmp_path: Path, word: str, rabbitmq: StreamBroker, activemq: Broker, events: int
) -> tuple[Project, Path, str, dict[str, str]]:
    """Make the relay's project, the service's folder, the exchange's name, and the variables."""
    name = f"applications-{word}-{tmp_path.name}"
    variable = {"rabbitmq": "RABBITMQ_URL", "activemq": "ACTIVEMQ_URL", "zeromq": "ZEROMQ_ADDRESS"}
    address = {
        "rabbitmq": rabbitmq.url,
        "activemq": activemq.url,
        "zeromq": f"tcp://127.0.0.1:{free_port()}",
    }
    given = {variable[word]: address[word]}
    text = CONFIGURATION.replace('"rabbitmq" ', f'"{word}" ').replace("my-bc-app", name)
    service = tmp_path / "service"
    service.mkdir()
    Project(service).configure(text)
    project = Project(tmp_path)
    store = '[event_store]\nurl = "sqlite:///events.db"\n'
    project.configure(store)
    project.succeed("init", "--tables")
    project.append_numbers(1, events)
    project.configure(store + text)
    return project, service, name, given


@pytest.mark.parametrize("word", ["rabbitmq", "activemq", "zeromq"])
def test_every_event_is_handled_once_though_the_consumer_is_killed(
    tmp_path: Path, word: str, rabbitmq: StreamBroker, activemq: Broker
) -> None:
    project, service, name, given = shop(tmp_path, word, rabbitmq, activemq, events=6)

    # As the page says: the subscriber's queue is there before the first event.
    project.succeed("listen", name, "--as", "billing", "--timeout", "0.5", **given)
    with project.running("run", **given):
        deaths = ({"DIE_BEFORE_COMMIT": "2"}, {"DIE_AFTER_COMMIT": "4"})
        for death in deaths:
            with application(name, service, **given, **death) as dying:
                assert dying.wait(60) == -9
        with application(name, service, **given):
            eventually(lambda: len(bills(service)) >= 6, "six bills", 60)

    assert bills(service) == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("word", ["rabbitmq", "activemq", "zeromq"])
def test_the_consumer_for_asyncio_handles_each_event_and_closes_when_it_is_cancelled(
    tmp_path: Path, word: str, rabbitmq: StreamBroker, activemq: Broker
) -> None:
    project, service, name, given = shop(tmp_path, word, rabbitmq, activemq, events=3)
    program = ASYNC_IMPORTS + ASYNC_HANDLE + ASYNC_CONSUMER + "\nasyncio.run(main())\n"
    (service / "app.py").write_text(program.replace("my-bc-app", name))

    project.succeed("listen", name, "--as", "billing", "--timeout", "0.5", **given)
    with project.running("run", **given):
        ended = subprocess.run(
            [sys.executable, "-W", "error", "app.py"],
            cwd=service,
            env={**os.environ, **given},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (ended.stdout, ended.stderr, ended.returncode) == ("closed\n", "", 0)
    assert bills(service) == ["1", "2", "3"]


def test_without_an_event_store_what_needs_one_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.configure(CONFIGURATION)
    url = {"RABBITMQ_URL": "amqp://127.0.0.1:1/"}

    for command in ("status", "run", "spread", "append", "check"):
        result = project.run(command, **url)
        assert result.code == 2, command
        assert "event_store.url" in result.out + result.err, command
    listened = project.run("listen", **url)
    assert listened.code == 1
    assert "event_store" not in listened.err
    with Tidings.from_file(tmp_path / "tidings.toml", environ=url) as tidings:
        assert tidings.consumer("my-bc-app", "billing")
        with pytest.raises(ConfigurationError, match="event_store"):
            tidings.event_store()
