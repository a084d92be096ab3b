"""A database that answers late costs no connection to the broker, and no subscriber its place."""

from __future__ import annotations

import dataclasses
import json
import select
import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Self

import pytest
from sqlalchemy import create_engine, text

from tests.command import Project
from tests.relay.parts import Told
from tests.servers import free_port
from tests.zeromq.readers import Reader
from tidings import NewEvent, Tidings
from tidings.relay.observers import Observers
from tidings.relay.worker import Worker
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from tests.servers.given import Broker, DatabaseServer, StreamBroker
    from tidings.plugins import ExchangeContext, OpenExchange

X = "patience"
WINDOW = 50

# A broker hangs up after about two heartbeats, which are of a second here.
LONG = 5.0

FILLER = "x" * 100_000
"""More than a pipe holds."""

CONFIGURATION = """
[event_store]
url = "{database}"
[exchanges.{exchange}]
producer = "{word}"
[producers.rabbitmq]
url = "{rabbitmq}"
heartbeat = 1
window = {window}
resume = "tail"
[producers.rabbitmq-stream]
url = "{stream}"
heartbeat = 1
[producers.activemq]
url = "{activemq}"
heartbeat = 1
"""

ZEROMQ = """
[event_store]
url = "{database}"
[exchanges.patience]
producer = "zeromq"
[producers.zeromq]
bind = "{address}"
no_progress_timeout = 3
"""


@pytest.fixture(params=["rabbitmq", "rabbitmq-stream", "activemq"])
def tidings(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    postgresql: DatabaseServer,
    rabbitmq: StreamBroker,
    activemq: Broker,
) -> Iterator[Tidings]:
    file = tmp_path / "tidings.toml"
    word: str = request.param
    configured = CONFIGURATION.format(
        database=postgresql.new_database(),
        exchange=X,
        word=word,
        rabbitmq=rabbitmq.url,
        stream=rabbitmq.stream_url,
        activemq=activemq.url,
        window=WINDOW,
    )
    file.write_text(configured.replace(X, f"{X}-{word}-{tmp_path.name}"[:100]))
    with Tidings.from_file(file, environ={}) as made:
        with closing(made.event_store()) as store:
            store.create()
        yield made


class Running:
    """The configured exchange's worker, in a thread."""

    def __init__(self, tidings: Tidings) -> None:
        self._tidings = tidings
        self.told = Told()
        (self.exchange,) = tidings.configuration.exchanges
        route = tidings.route(self.exchange)
        self.producer = route.producer
        self._worker = Worker([dataclasses.replace(route, observers=Observers([self.told]))])
        self._thread = threading.Thread(target=self._worker.run)
        url = tidings.configuration.event_store.settings()["url"]
        self.engine = create_engine(url)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.shut_down()
        self._thread.join()
        self.engine.dispose()

    def append(self, connection: Connection, count: int) -> None:
        store = self._tidings.event_store()
        store.append(connection, *(NewEvent("OrderPlaced", {}) for _ in range(count)))
        store.close()

    def wait_for_position(self, event_id: int) -> None:
        tracker = self._tidings.tracker
        eventually(
            lambda: tracker.most_recent_published_message_id(self.exchange) == event_id, seconds=60
        )


def somebody_waits(engine: Engine, table: str) -> bool:
    # By a transaction of its own: in one, PostgreSQL shows for ever what it showed first.
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database() AND query LIKE :query"
    )
    with engine.connect() as connection:
        return bool(connection.execute(waiting, {"query": f"%{table}%"}).scalar_one())


def test_a_read_that_waits_for_long_costs_no_connection(tidings: Tidings) -> None:
    with Running(tidings) as running:
        with running.engine.begin() as writer:
            running.append(writer, 1)
        running.wait_for_position(1)

        with running.engine.begin() as writer:
            writer.execute(text("LOCK TABLE event IN ACCESS EXCLUSIVE MODE"))
            running.append(writer, 1)
            eventually(lambda: somebody_waits(running.engine, "event"))
            threading.Event().wait(LONG)
        running.wait_for_position(2)

    assert running.told.of("failed") == []


def test_a_checkpoint_that_waits_for_long_costs_no_connection(tidings: Tidings) -> None:
    with Running(tidings) as running:
        with running.engine.begin() as writer:
            running.append(writer, 1)
        running.wait_for_position(1)

        with running.engine.begin() as writer:
            writer.execute(text("SELECT 1 FROM event_published_message_tracker FOR UPDATE"))
            with running.engine.begin() as other:
                running.append(other, 20 * WINDOW)
            eventually(lambda: somebody_waits(running.engine, "most_recent_published_message_id"))
            threading.Event().wait(LONG)
        running.wait_for_position(1 + 20 * WINDOW)

    assert running.told.of("failed") == []


def test_a_comparison_with_what_the_broker_remembers_costs_no_connection(
    tidings: Tidings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Running(tidings) as running:
        with running.engine.begin() as writer:
            running.append(writer, 3)
        running.wait_for_position(3)
    again = Running(tidings)
    with again.engine.begin() as connection:
        connection.execute(text("DELETE FROM event_published_message_tracker"))
    with again.engine.connect() as blocking:
        open_exchange = again.producer.open_exchange

        def opens(context: ExchangeContext) -> OpenExchange:
            exchange = open_exchange(context)
            if again.told.of("failed") == []:
                blocking.execute(text("LOCK TABLE event IN ACCESS EXCLUSIVE MODE"))
            return exchange

        monkeypatch.setattr(again.producer, "open_exchange", opens)
        with again:
            eventually(lambda: somebody_waits(again.engine, "event"))
            threading.Event().wait(LONG)
            blocking.close()
            with again.engine.begin() as writer:
                again.append(writer, 1)
            again.wait_for_position(4)

    assert again.told.of("failed") == []


def test_a_reader_of_listen_that_pauses_costs_no_connection(
    tidings: Tidings, tmp_path: Path
) -> None:
    store = tidings.event_store()
    with store.transaction() as connection:
        store.append(connection, *(NewEvent("Large", {"n": n, "x": FILLER}) for n in range(4)))
    store.close()
    Project(tmp_path).succeed("spread")
    listen = [sys.executable, "-W", "error", "-m", "tidings", "listen", "--count", "4"]
    with subprocess.Popen(
        listen, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as listening:
        assert listening.stdout is not None
        select.select([listening.stdout], [], [], 60)  # the pipe is full: a line is larger
        threading.Event().wait(LONG)
        out, err = listening.communicate(timeout=60)

    assert [json.loads(line)["body"]["n"] for line in out.splitlines()] == [0, 1, 2, 3]
    assert (listening.returncode, err) == (0, b"")


def test_a_backlog_that_waits_for_long_costs_no_subscriber_its_place(
    tmp_path: Path, postgresql: DatabaseServer
) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    file = tmp_path / "tidings.toml"
    file.write_text(ZEROMQ.format(database=postgresql.new_database(), address=address))
    with Tidings.from_file(file, environ={}) as tidings:
        with closing(tidings.event_store()) as store:
            store.create()
        with Running(tidings) as running, Reader(address, exchange_name=X):
            with running.engine.begin() as writer:
                running.append(writer, 5)
            running.wait_for_position(5)
        with Running(tidings) as running, ExitStack() as reading:  # with nothing in memory
            with running.engine.begin() as writer:
                running.append(writer, 1)
            eventually(lambda: running.told.of("sent"))
            with running.engine.begin() as writer:
                writer.execute(text("LOCK TABLE event IN ACCESS EXCLUSIVE MODE"))
                anew = reading.enter_context(Reader(address, exchange_name=X, last_id=0))
                threading.Event().wait(LONG)
            running.wait_for_position(6)

    assert anew.ids == [1, 2, 3, 4, 5, 6]
    assert running.told.of("failed") == []
