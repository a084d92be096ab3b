"""A configuration names the observer, and a scrape asks the databases."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from tests.prometheus.scraped import X
from tests.prometheus.working import append, relaying, scrape
from tidings import NewEvent, Tidings, record
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIGURATION = """\
[event_store]
backend = "sqlalchemy"
url = "{url}"
[exchanges.x]
producer = "jsonlines"
[producers.jsonlines]
path = "{path}"
[observers.prometheus]
"""


@pytest.fixture
def tidings(database_url: str, tmp_path: Path) -> Iterator[Tidings]:
    file = tmp_path / "tidings.toml"
    file.write_text(CONFIGURATION.format(url=database_url, path=tmp_path / "out.jsonl"))
    with Tidings.from_file(file, environ={}) as made:
        with closing(made.event_store()) as store:
            store.create()
        yield made


def test_lag_is_what_the_store_has_and_zero_when_the_relay_is_idle(tidings: Tidings) -> None:
    tidings.observers.started(X)
    append(tidings, 5)
    behind = scrape(tidings)
    with relaying(tidings):
        eventually(lambda: scrape(tidings).value("tidings_events_behind") == 0)
        eventually(lambda: scrape(tidings).state() == "idle")
        idle = scrape(tidings)

    assert behind.value("tidings_events_behind") == 5
    assert (behind.value("tidings_seconds_behind") or 0) > 0
    assert behind.value("tidings_position") == 0
    assert behind.value("tidings_newest_event_id") == 5
    assert idle.value("tidings_seconds_behind") == 0
    assert idle.value("tidings_position") == idle.value("tidings_newest_event_id") == 5
    assert idle.value("tidings_events_published_total", producer="jsonlines") == 5
    assert idle.value("tidings_commit_to_accept_seconds_count") == 5
    assert idle.value("tidings_window_size") is None  # a file has none


def test_a_lag_goes_on_growing_while_no_relay_reads(tidings: Tidings) -> None:
    tidings.observers.started(X)
    append(tidings)
    first = scrape(tidings).value("tidings_seconds_behind")
    assert first is not None

    eventually(lambda: (scrape(tidings).value("tidings_seconds_behind") or 0) > first)


def test_tables_that_are_gone_are_a_store_that_cannot_be_read(
    tidings: Tidings, database_url: str
) -> None:
    tidings.observers.started(X)
    assert scrape(tidings).value("tidings_event_store_readable") == 1
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE event"))
    engine.dispose()

    found = scrape(tidings)

    assert found.value("tidings_event_store_readable") == 0
    assert found.value("tidings_events_behind") is None


def test_a_scrape_leaves_no_connection_behind(tidings: Tidings, database_url: str) -> None:
    tidings.observers.started(X)
    for _ in range(3):
        assert scrape(tidings).value("tidings_event_store_readable") == 1

    engine = create_engine(database_url)
    # What holds a lock, or a transaction, would keep the table.
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE event"))
    engine.dispose()


def test_a_scrape_while_somebody_writes_waits_for_nobody(
    tidings: Tidings, database_url: str
) -> None:
    tidings.observers.started(X)
    engine = create_engine(database_url)
    with Session(engine) as session:
        record(session, NewEvent("OrderPlaced", {}))
        session.flush()
        assert scrape(tidings).value("tidings_event_store_readable") == 1
        session.commit()
    engine.dispose()
