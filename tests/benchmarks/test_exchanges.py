"""What the benchmark of many exchanges measures is what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks import stored, together
from benchmarks.__main__ import main
from click.testing import CliRunner

from tests.benchmarks.test_benchmarks import needs, tables
from tests.servers import RabbitMQ

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.given import StreamBroker


def test_many_exchanges_are_compared_with_one_busy_and_idle() -> None:
    needs(RabbitMQ)

    rows = tables(
        *("exchanges", "--exchanges=1", "--exchanges=3"),
        *("--messages=600", "--seconds=0.2", "--rounds=1"),
    )

    busy, idle = rows[1:3], rows[4:6]
    assert [row[0] for row in busy] == [row[0] for row in idle] == ["1", "3"]
    assert all(float(row[1].replace(",", "")) > 0 for row in busy)
    assert busy[0][2] == "", "nothing is compared with itself"
    threads = [int(row[3]) for row in idle]
    assert threads[1] - threads[0] == 2, "an exchange has one of its own"


def test_every_exchange_carries_its_share_of_the_same_events(
    rabbitmq: StreamBroker, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    stored.fill(url, together.WARM_UP + 500)
    settings = {"url": rabbitmq.url}

    with together.carrying(
        "share", database_url=url, settings=settings, exchanges=3, messages=600
    ) as work:
        sent = work()

    with stored.configured(url) as tidings:
        positions = {
            exchange.exchange_name: exchange.position.event_id
            for exchange in tidings.tracker.tracked_exchanges()
        }
    assert sent == 600
    assert positions == {f"share-{n}": together.WARM_UP + 200 for n in range(3)}


def test_a_failing_exchange_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    stored.fill(url, together.WARM_UP)
    settings = {"url": "amqp://guest:guest@127.0.0.1:1/"}

    with (
        pytest.raises(Exception, match=r"127\.0\.0\.1:1"),
        together.carrying("no", database_url=url, settings=settings, exchanges=2, messages=2),
    ):
        pass


def test_fewer_messages_than_exchanges_are_refused() -> None:
    outcome = CliRunner().invoke(main, ["exchanges", "--messages=99"])

    assert outcome.exit_code == 2
    assert "--messages must be at least as many as there are exchanges" in outcome.output
