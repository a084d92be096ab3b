"""An exchange that drains an outbox in place of the event store, by configuration."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from tidings import NewEvent
from tidings.sql.outbox import OutboxMessageDispatcher
from tidings.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Project

CONFIGURATION = """
[event_store]
url = "{url}"

[exchanges.orders]
producer = "jsonlines"

[exchanges.shop]
producer = "jsonlines"
source = "outbox"

[producers.jsonlines]
path = "{{exchange}}.jsonl"

[sources.outbox]
url = "{url}"
table_name = "shop_outbox"
then = "{then}"
"""


def dispatch(url: str, first: int, last: int) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        dispatcher = OutboxMessageDispatcher(connection, table_name="shop_outbox")
        dispatcher.dispatch(*(NewEvent("Shipped", {"n": n}) for n in range(first, last + 1)))
    engine.dispose()


def rows(url: str) -> tuple[int, int]:
    """Return how many rows the outbox has, and how many of them wait."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT count(*), count(*) - count(dispatched_on) FROM shop_outbox")
        ).one()
    engine.dispose()
    return found[0], found[1]


def numbers(project: Project) -> list[int]:
    file = project.folder / "shop.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line)["body"]["n"] for line in lines if line.endswith("\n")]


@pytest.mark.parametrize(("then", "left"), [("mark", 9), ("remove", 1)])
def test_a_running_relay_drains_the_outbox(
    empty: Project, database_url: str, then: str, left: int
) -> None:
    empty.configure(CONFIGURATION.format(url=database_url, then=then))
    empty.succeed("init", "--tables")
    dispatch(database_url, 1, 6)
    with empty.running("run") as relay:
        eventually(lambda: len(numbers(empty)) == 6, "six messages", 60)
        dispatch(database_url, 7, 9)
        eventually(lambda: len(numbers(empty)) == 9, "nine messages", 60)
        assert relay.terminate() == 0

    assert numbers(empty) == list(range(1, 10))
    assert rows(database_url) == (left, 0)
    assert empty.status("shop")["events_behind"] == 0
    assert empty.status("orders")["newest_event_id"] is None


@pytest.mark.parametrize(("then", "count"), [("mark", 4), ("remove", 1)])
def test_a_replay_says_how_many_the_outbox_gives_again(
    empty: Project, database_url: str, then: str, count: int
) -> None:
    empty.configure(CONFIGURATION.format(url=database_url, then=then))
    empty.succeed("init", "--tables")
    dispatch(database_url, 1, 6)
    empty.succeed("spread", "shop")

    said = empty.succeed("replay", "shop", "--from", "3").out.splitlines()
    empty.succeed("spread", "shop")

    assert said[0] == f"Exchange 'shop' gets every event from 3 again: {count} event(s)."
    assert len(numbers(empty)) == 6 + count


def test_what_stops_the_outboxs_exchange_is_shown(empty: Project, database_url: str) -> None:
    empty.configure(CONFIGURATION.format(url=database_url, then="mark"))
    empty.succeed("init", "--tables")
    dispatch(database_url, 1, 3)
    engine = create_engine(database_url)
    with engine.begin() as connection:
        newest = connection.execute(text("SELECT max(event_id) FROM shop_outbox")).scalar_one()
        connection.execute(text(f"UPDATE shop_outbox SET body = '{{' WHERE event_id = {newest}"))
    engine.dispose()

    assert empty.run("spread", "shop").code == 1
    assert empty.status("shop")["stopped_by"]["event_id"] == newest


def test_the_printed_schema_makes_the_outbox_too_and_each_table_once(
    empty: Project, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/by-hand.db"
    empty.configure(CONFIGURATION.format(url=url, then="mark"))

    with closing(sqlite3.connect(tmp_path / "by-hand.db")) as database:
        database.executescript(empty.succeed("schema").out)
    dispatch(url, 1, 2)
    empty.succeed("spread", "shop")

    assert numbers(empty) == [1, 2]


def test_an_outbox_keeps_no_event_of_the_store_from_being_pruned(
    empty: Project, database_url: str
) -> None:
    empty.configure(CONFIGURATION.format(url=database_url, then="mark"))
    empty.succeed("init", "--tables")
    dispatch(database_url, 1, 2)
    empty.append_numbers(1, 9)
    empty.succeed("spread", "orders")
    empty.succeed("spread", "shop")

    assert empty.succeed("prune", "--keep", "1").out.splitlines()[0] == "8 event(s) deleted."


def test_problems_of_a_source_are_told_with_the_others(empty: Project) -> None:
    text = CONFIGURATION.format(url="sqlite:///events.db", then="delete")
    empty.configure(text.replace('source = "outbox"', 'source = "outbocks"'))

    result = empty.run("status")

    assert result.code == 2
    assert "exchanges.shop.source" in result.err
    assert "'outbox'" in result.err


def test_of_an_outbox_that_cannot_be_read_nobody_says_that_nothing_is_behind(
    empty: Project,
) -> None:
    text = CONFIGURATION.format(url="sqlite:///events.db", then="mark")
    before, source = text.split("[sources.outbox]")
    empty.configure(f"{before}[sources.outbox]{source.replace('events.db', 'outbox.db')}")
    empty.succeed("init", "--tables")
    dispatch(f"sqlite:///{empty.folder}/outbox.db", 1, 3)
    empty.succeed("spread", "shop")
    (empty.folder / "outbox.db").unlink()

    row = empty.status("shop")
    table = empty.succeed("status").out.splitlines()

    assert (row["state"], row["last_published_id"]) == ("failing", 3)
    unknown = ("newest_event_id", "events_behind", "seconds_behind")
    assert [row[name] for name in unknown] == [None, None, None]
    assert table[2].split() == ["shop", "jsonlines", "failing", "3", "-", "-", "-", "-"]
