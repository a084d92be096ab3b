"""Latency is measured where it says, in every way that a database has."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pika
from benchmarks.background import subscriber, write_steadily
from benchmarks.stored import configured

from tests.benchmarks.test_benchmarks import needs, tables
from tests.servers import PostgreSQL, RabbitMQ

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.servers.given import StreamBroker


def test_polling_and_the_wake_up_are_timed_idle_and_at_half_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs(RabbitMQ)
    needs(PostgreSQL)
    monkeypatch.setattr("benchmarks.latency.BURST", 500)

    heading, *rows = tables("latency", "--database=postgresql", "--events=3")

    assert [row[0] for row in rows] == [
        "postgresql, polling, idle",
        "postgresql, polling, half load",
        "postgresql, wake-up, idle",
        "postgresql, wake-up, half load",
    ]
    assert heading[1:] == ["p50 ms", "p99 ms", "most", "load, events/s"]
    for _, median, _, most, load in rows:
        assert float(most) > 0
        assert float(median) <= float(most)
        assert load == "0" or float(load.replace(",", "")) > 0
    assert [row[4] == "0" for row in rows] == [True, False, True, False]


def test_only_the_messages_that_are_timed_reach_the_subscriber_and_none_is_unroutable(
    rabbitmq: StreamBroker,
) -> None:
    with subscriber(rabbitmq.url, "timing", "ours") as timed:
        connection = pika.BlockingConnection(pika.URLParameters(rabbitmq.url))
        channel = connection.channel()
        channel.confirm_delivery()  # publishing raises if the message goes nowhere

        def publish(aggregate_id: str) -> None:
            properties = pika.BasicProperties(headers={"aggregate_id": aggregate_id})
            channel.basic_publish("timing", "", b"{}", properties, mandatory=True)

        publish("another's")
        published = time.perf_counter()
        publish("ours")
        assert timed.came.wait(30)
        assert timed.at > published
        timed.came.clear()
        publish("another's")
        publish("another's")
        assert not timed.came.wait(0.2)
        channel.exchange_delete("timing")
        connection.close()


class Counted:
    """An event that is set after so many waits."""

    def __init__(self, waits: int) -> None:
        self.left = waits
        self.was_set = False

    def set(self) -> None:
        self.was_set = True

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        self.left -= 1
        return self.left < 0


def test_the_writer_in_the_background_keeps_its_rate(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with configured(url) as tidings:
        store = tidings.event_store()
        store.create()
        began, over = Counted(0), Counted(20)
        start = time.perf_counter()
        write_steadily(url, 1000, began, over)  # type: ignore[arg-type]
        took = time.perf_counter() - start
        written = store.count_stored_events_since(0)
        store.close()
    assert began.was_set
    assert 0 < written <= 1000 * took
    assert written >= 1000 * 20 * 0.01, "a late tick is made up for"
