"""Every block of the page for Python, run as it stands, one after the other."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from tidings import (
    BrokerUnavailableError,
    InMemoryBroker,
    InMemoryConsumer,
    NewEvent,
    NotAcceptedError,
    Tidings,
    record,
)
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence

    from tidings.interfaces import ExchangeContext, Notification, OpenExchange

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
CONFIGURATION, OBSERVERS = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ONCE, WORKER, PARTS, IN_TESTS, METRICS, OBSERVED = range(6)


@dataclass
class Reader:
    """Somebody who types what the page shows, in a folder with its configuration."""

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)

    def run(self, *blocks: int) -> None:
        for block in blocks:
            exec(compile(BLOCKS[block], f"block {block}", "exec"), self.names)  # noqa: S102 - ours

    def record(self, *type_names: str) -> None:
        engine = create_engine("sqlite:///events.db", poolclass=NullPool)
        with Session(engine) as session, session.begin():
            record(session, *(NewEvent(name, {}) for name in type_names))

    @property
    def lines(self) -> list[str]:
        file = self.folder / "orders.jsonl"
        if not file.exists():
            return []
        return [json.loads(line)["type_name"] for line in file.read_text().splitlines()]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDINGS_CONFIG", raising=False)
    (tmp_path / "tidings.toml").write_text(CONFIGURATION)
    with Tidings.from_file() as tidings, closing(tidings.event_store()) as store:
        store.create()
    reader = Reader(tmp_path)
    yield reader
    if "worker" in reader.names:
        reader.names["worker"].shut_down()  # a page that forgot to would keep this process for ever


@pytest.fixture
def metrics(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the page's plugin as pip would."""
    (entry_point,) = re.findall(r"`(shop-metrics = .*?)` in `\[project\.(.*)\]`", PAGE)
    assert entry_point[1] == "entry-points.tidings"
    information = reader.folder / "shop-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1\n")
    (information / "entry_points.txt").write_text(f"[tidings]\n{entry_point[0]}\n".replace('"', ""))
    (reader.folder / "shop_metrics.py").write_text(BLOCKS[METRICS])
    monkeypatch.syspath_prepend(reader.folder)
    yield
    sys.modules.pop("shop_metrics", None)


def test_every_block_of_the_page_is_run_here() -> None:
    assert len(BLOCKS) == OBSERVED + 1


def test_what_waits_is_published_and_counted(reader: Reader) -> None:
    reader.record("A", "B")
    reader.run(ONCE)
    assert (reader.names["sent"], reader.lines) == (2, ["A", "B"])


def test_a_worker_publishes_while_the_application_serves_and_stops_with_it(reader: Reader) -> None:
    def serve() -> None:
        reader.record("A")
        eventually(lambda: reader.lines == ["A"], "the event", 60)

    reader.names["serve"] = serve
    reader.run(ONCE, WORKER)
    assert not reader.names["relay"].is_alive()
    with Tidings.from_file() as tidings:
        (tracked,) = tidings.tracker.tracked_exchanges()
    assert (tracked.position.event_id, tracked.owner) == (1, None)


def test_a_worker_stops_also_where_the_application_fails(reader: Reader) -> None:
    def serve() -> None:
        raise ZeroDivisionError

    reader.names["serve"] = serve
    with pytest.raises(ZeroDivisionError):
        reader.run(ONCE, WORKER)
    assert not reader.names["relay"].is_alive()


def test_a_service_made_of_its_parts_sends_nothing_twice_after_a_crash(reader: Reader) -> None:
    reader.record("A")
    reader.run(PARTS)
    assert reader.lines == ["A"]
    with closing(sqlite3.connect("events.db")) as connection, connection:  # it was not tracked
        connection.execute(
            "UPDATE event_published_message_tracker "
            "SET most_recent_published_message_id = 0, fingerprint = NULL"
        )
    reader.record("B")
    reader.run(PARTS)
    assert reader.lines == ["A", "B"]


def test_a_refused_event_is_named_and_goes_out_later(reader: Reader) -> None:
    reader.run(PARTS, IN_TESTS)
    assert reader.names["refused"] == 1


DISTURBANCES: dict[
    str, tuple[Callable[[InMemoryBroker], None], Callable[[InMemoryBroker], None], Any]
]
DISTURBANCES = {
    "unbind": (lambda b: b.unbind("orders"), lambda b: b.bind("orders"), NotAcceptedError),
    "refuse": (lambda b: b.refuse(), lambda b: b.admit(), BrokerUnavailableError),
    "freeze": (lambda b: b.freeze(), lambda b: b.thaw(), BrokerUnavailableError),
}


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_a_disturbance_lasts_as_long_as_the_table_says(reader: Reader, disturbance: str) -> None:
    reader.run(PARTS, IN_TESTS)
    begin, end, error = DISTURBANCES[disturbance]
    assert re.search(rf"^\| `{disturbance}\(.*`{error.__name__}`", PAGE, re.MULTILINE)
    service, broker = reader.names["service"], reader.names["broker"]
    append(reader, "OrderPaid")
    begin(broker)
    for _ in range(2):
        with pytest.raises(error):
            service.publish_notifications("orders")
    end(broker)
    assert service.publish_notifications("orders") == 1


def test_as_many_calls_fail_as_messages_are_rejected(reader: Reader) -> None:
    reader.run(PARTS, IN_TESTS)
    append(reader, "OrderPaid")
    reader.names["broker"].reject("orders", 3)
    for _ in range(3):
        with pytest.raises(NotAcceptedError):
            reader.names["service"].publish_notifications("orders")
    assert reader.names["service"].publish_notifications("orders") == 1


def test_a_cut_ends_the_call_that_is_under_way_and_no_other(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.run(PARTS, IN_TESTS)
    append(reader, "OrderPaid")
    producer, broker = reader.names["producer"], reader.names["broker"]
    open_exchange = producer.open_exchange

    def open_and_cut_before_sending(context: ExchangeContext) -> OpenExchange:
        exchange: OpenExchange = open_exchange(context)
        send = exchange.send

        def cut_and_send(notifications: Sequence[Notification]) -> None:
            broker.cut()
            send(notifications)

        monkeypatch.setattr(exchange, "send", cut_and_send)
        return exchange

    with monkeypatch.context() as patch:
        patch.setattr(producer, "open_exchange", open_and_cut_before_sending)
        with pytest.raises(BrokerUnavailableError, match="was cut"):
            reader.names["service"].publish_notifications("orders")
    assert reader.names["service"].publish_notifications("orders") == 1


def test_what_a_handler_does_not_acknowledge_comes_again(reader: Reader) -> None:
    reader.run(PARTS, IN_TESTS)
    consumer = InMemoryConsumer(reader.names["broker"], "billing")
    for _ in range(2):
        consumer.open("orders")
        message = consumer.receive(1)
        assert message is not None
        assert message.type_name == "OrderPlaced"
        consumer.close()


def test_an_observer_counts_what_a_service_publishes(reader: Reader, metrics: None) -> None:
    reader.run(PARTS, IN_TESTS, OBSERVED)
    assert reader.names["counting"].counts == {"orders published": 2}


def test_an_observer_counts_as_a_plugin_of_a_configuration(reader: Reader, metrics: None) -> None:
    (reader.folder / "tidings.toml").write_text(CONFIGURATION + OBSERVERS)
    reader.record("A", "B", "C")
    reader.run(ONCE)
    assert sys.modules["shop_metrics"].counting.counts == {"orders published": 3}


def test_an_observer_hears_of_a_workers_failures(reader: Reader, metrics: None) -> None:
    (reader.folder / "tidings.toml").write_text(CONFIGURATION + OBSERVERS)
    (reader.folder / "orders.jsonl").mkdir()
    reader.record("A")

    def serve() -> None:
        eventually(lambda: counts()["orders failed"] > 0, "a failure", 60)

    def counts() -> Counter[str]:
        found: Counter[str] = sys.modules["shop_metrics"].counting.counts
        return found

    reader.names |= {"serve": serve, "Tidings": Tidings}
    reader.run(WORKER)
    assert set(counts()) == {"orders failed"}


def append(reader: Reader, type_name: str) -> None:
    store = reader.names["store"]
    with store.transaction() as transaction:
        store.append(transaction, NewEvent(type_name, {}))
