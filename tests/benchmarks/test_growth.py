"""What the benchmark of growth measures is what it says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from benchmarks import stored
from benchmarks.__main__ import main
from click.testing import CliRunner

from tests.benchmarks.test_benchmarks import needs, tables
from tests.servers import RabbitMQ

if TYPE_CHECKING:
    from pathlib import Path

SEVERAL_TRANSACTIONS = 1200 * stored.BODY_BYTES


@pytest.fixture
def small_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "TRANSACTION_BYTES", SEVERAL_TRANSACTIONS)


def test_what_the_database_makes_is_what_the_store_would_have_appended(
    database_url: str, small_transactions: None
) -> None:
    stored.fill(database_url, 2500)

    with stored.configured(database_url) as tidings:
        store = tidings.event_store()
        store.check()
        events = store.all_stored_events_since(0, 5000)
        store.close()
    expected = [stored.new_event(number) for number in range(2500)]
    assert [(e.type_name, e.body, e.aggregate_id, e.metadata) for e in events] == [
        (e.type_name, e.body_text(), e.aggregate_id, e.metadata_text()) for e in expected
    ]
    assert {abs(e.occurred_on - expected[0].occurred_on).total_seconds() < 60 for e in events} == {
        True
    }


def test_an_event_that_is_appended_after_them_comes_after_them(
    database_url: str, small_transactions: None
) -> None:
    stored.fill(database_url, 2500)
    stored.fill(database_url, 1)

    with stored.configured(database_url) as tidings:
        store = tidings.event_store()
        last_two = store.all_stored_events_since(stored.position_before_last(database_url, 2), 5)
        store.close()
    assert [event.aggregate_id for event in last_two] == ["order-833", "order-0"]


def test_the_first_events_are_relayed_up_to_the_count(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    stored.fill(url, 2500)

    timed, numbers = relayed(url, tmp_path, count=1500)

    assert timed == 1500
    assert numbers == list(range(stored.WARM_UP + 1500))


def test_the_last_events_are_relayed_to_the_end(
    database_url: str, small_transactions: None, tmp_path: Path
) -> None:
    stored.fill(database_url, 2500)
    after = stored.position_before_last(database_url, 1500)

    timed, numbers = relayed(database_url, tmp_path, after=after)

    assert timed == 1500 - stored.WARM_UP
    assert numbers == list(range(1000, 2500))


def test_no_event_of_a_small_database_comes_before_its_last_ones(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    stored.fill(url, 300)

    assert stored.position_before_last(url, 300) == 0


def test_both_ends_of_a_long_backlog_and_all_of_it_are_compared_with_a_short_one() -> None:
    needs(RabbitMQ)

    _, first, last, everything = tables(
        "growth", "--database=sqlite", "--events=6000", "--times=5", "--rounds=1", "--full"
    )

    assert [row[0] for row in (first, last, everything)] == [
        f"sqlite, 30,000 / 6,000: {part}" for part in ("first 6,000", "last 6,000", "all")
    ]
    for row in (first, last, everything):
        assert float(row[6].replace(",", "")) > 0
        assert 10 < float(row[5]) < 120, "megabytes of a Python process"
        assert float(row[3].split()[0]) <= 1.1, "five times the events take no more memory"


def test_events_that_do_but_warm_up_are_refused() -> None:
    outcome = CliRunner().invoke(main, ["growth", f"--events={stored.WARM_UP}"])

    assert outcome.exit_code == 2
    assert "--events must be more than the 200 that warm up" in outcome.output


def relayed(database_url: str, folder: Path, **bounds: int) -> tuple[int, list[int]]:
    """Relay to a file; return how many were timed, and the numbers of all that were sent."""
    path = folder / "sent.jsonl"
    with stored.relaying("x", database_url, "jsonlines", {"path": str(path)}, **bounds) as work:
        timed = work()
    sent = [json.loads(line) for line in path.read_text().splitlines()]
    return timed, [number(event["type_name"], event["aggregate_id"]) for event in sent]


def number(type_name: str, aggregate_id: str) -> int:
    order = int(aggregate_id.removeprefix("order-"))
    return order * len(stored.TYPES) + stored.TYPES.index(type_name)
