from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from tidings.plugins import IdleRelay
from tidings.sql import SqlAlchemySettings, SqlAlchemyTracker

if TYPE_CHECKING:
    from tests.command import Project
    from tests.servers.given import DatabaseServer

TWO = """
[event_store]
url = "sqlite:///events.db"

[exchanges.orders]
producer = "jsonlines"

[exchanges.audit]
producer = "jsonlines"

[producers.jsonlines]
path = "{exchange}.jsonl"
"""


@pytest.fixture
def two(project: Project) -> Project:
    """Give a project with two exchanges, each of which has had five events."""
    project.configure(TWO)
    project.append_numbers(1, 5)
    project.succeed("spread", "orders")
    project.succeed("spread", "audit")
    return project


def written(project: Project, exchange: str) -> list[int]:
    lines = (project.folder / f"{exchange}.jsonl").read_text().splitlines()
    return [json.loads(line)["event_id"] for line in lines]


def test_status_tells_how_far_an_exchange_is_behind(project: Project) -> None:
    project.append_numbers(1, 5)
    before = project.status("orders")
    project.succeed("spread", "--limit", "2")

    after = project.status("orders")

    assert before["last_published_id"] is None
    assert before["events_behind"] == 5
    assert before["seconds_behind"] > 0
    expected: dict[str, Any] = {
        "exchange": "orders",
        "producer": "jsonlines",
        "last_published_id": 2,
        "newest_event_id": 5,
        "events_behind": 3,
        "relay": None,
        "hold": None,
    }
    assert {key: after[key] for key in expected} == expected


def test_status_for_people_shows_the_same(two: Project) -> None:
    lines = two.succeed("status").out.splitlines()

    assert lines[1].split()[:2] == ["orders", "jsonlines"]
    assert lines[1].split()[2:] == ["no", "relay", "5", "5", "0", "0", "s", "-"]
    assert lines[2].split()[:2] == ["audit", "jsonlines"]


def test_a_replay_repeats_for_one_exchange_and_no_other_notices(two: Project) -> None:
    result = two.succeed("replay", "orders", "--from", "4")
    two.succeed("spread", "orders")
    two.succeed("spread", "audit")

    assert result.out == "Exchange 'orders' gets every event from 4 again: 2 event(s).\n"
    assert written(two, "orders") == [1, 2, 3, 4, 5, 4, 5]
    assert written(two, "audit") == [1, 2, 3, 4, 5]


def test_a_replay_that_passes_unsent_events_is_refused_unless_it_is_meant(two: Project) -> None:
    two.append_numbers(6, 9)

    refused = two.run("replay", "orders", "--from", "9")
    assert refused.code == 1
    assert "would pass 3 event(s) that it was never sent" in refused.err
    assert "--skip" in refused.err
    assert two.status("orders")["events_behind"] == 4
    meant = two.succeed("replay", "orders", "--from", "9", "--skip").out
    assert meant == (
        "Exchange 'orders' goes on from event 9: 1 event(s); 3 event(s) before that were never "
        "sent.\n"
    )
    two.succeed("spread", "orders")
    assert written(two, "orders") == [1, 2, 3, 4, 5, 9]


def test_a_replay_beyond_the_newest_event_says_what_is_not_sent_then(two: Project) -> None:
    result = two.succeed("replay", "orders", "--from", "50")
    assert result.out == (
        "Exchange 'orders' goes on from event 50: 0 event(s).\n"
        "The newest event in the event store is 5: what is recorded before event 50 is not sent.\n"
    )
    assert two.status("orders")["state"] == "waiting"
    assert two.succeed("replay", "orders", "--from", "6").out.count("\n") == 1


def test_a_replay_of_all_begins_at_the_first_event(two: Project) -> None:
    two.succeed("replay", "orders", "--all")
    two.succeed("spread", "orders")

    assert written(two, "orders") == [1, 2, 3, 4, 5] * 2


def test_a_replay_must_say_from_where(two: Project) -> None:
    for arguments in ([], ["--all", "--from", "1"], ["--from", "0"]):
        assert two.run("replay", "orders", *arguments).code == 2


def test_no_such_exchange_is_told_with_a_hint(two: Project) -> None:
    for command in (["spread", "ordres"], ["run", "ordres"], ["replay", "ordres", "--all"]):
        result = two.run(*command)

        assert result.code == 2
        assert "Did you mean 'orders'?" in result.err


def test_pruning_keeps_what_an_exchange_has_not_had(two: Project) -> None:
    two.append_numbers(6, 9)
    two.succeed("spread", "orders")

    dry = two.succeed("prune", "--keep", "1", "--dry-run").out
    done = two.succeed("prune", "--keep", "1").out

    assert dry.startswith("5 event(s) would be deleted.\n")
    assert done.startswith("5 event(s) deleted.\nOthers stay: exchange 'audit'")
    assert two.succeed("spread", "audit").out == "4 notification(s) sent!\n"


def test_pruning_by_age_deletes_only_older_events(two: Project) -> None:
    old = '{"type_name": "A", "body": 1, "occurred_on": "2020-01-01T00:00:00Z"}\n'
    two.succeed("append", stdin=old)
    two.append_numbers(7, 7)
    two.succeed("spread", "orders")
    two.succeed("spread", "audit")

    assert two.succeed("prune", "--older-than", "30d").out.startswith("1 event(s) deleted.\n")


@pytest.mark.parametrize("arguments", [[], ["--older-than", "1x"], ["--keep", "0"]])
def test_pruning_without_a_clear_bound_is_refused(two: Project, arguments: list[str]) -> None:
    assert two.run("prune", *arguments).code == 2
    assert two.status("orders")["newest_event_id"] == 5


def test_check_and_status_agree_on_a_relay_that_only_waits_where_another_one_failed(
    project: Project, postgresql: DatabaseServer
) -> None:
    url = postgresql.new_database()
    project.configure(TWO.replace("sqlite:///events.db", url))
    project.succeed("init", "--tables")
    engine = create_engine(url)
    tracker = SqlAlchemyTracker(SqlAlchemySettings(url=SecretStr(url)))
    tracker.acquire_lease("orders", "the one that carries it", 60)
    failed = IdleRelay("the one that failed", datetime.now(UTC), "It could not.", None)
    tracker.note_idle("orders", failed, 60)
    tracker.close()
    insert = text("INSERT INTO event (type_name, body, occurred_on) VALUES ('A', '1', now())")
    with engine.connect() as holder:
        holder.execute(insert)
        project.append_numbers(2, 3)

        status, checked = project.status("orders"), project.run("check")
        holder.rollback()
    engine.dispose()

    assert status["state"] == "held"
    assert "ok      exchange orders" in checked.out
    assert project.status("orders")["state"] == "failing"
    assert "FAILED  exchange orders" in project.run("check").out


def test_status_names_the_transaction_that_holds_the_relay(
    project: Project, postgresql: DatabaseServer
) -> None:
    url = postgresql.new_database()
    project.configure(TWO.replace("sqlite:///events.db", url))
    project.succeed("init", "--tables")
    engine = create_engine(url)
    insert = text("INSERT INTO event (type_name, body, occurred_on) VALUES ('A', '1', now())")
    with engine.connect() as holder:
        holder.execute(insert)
        pid = holder.execute(text("SELECT pg_backend_pid()")).scalar_one()
        project.append_numbers(2, 3)

        held = project.status("orders")
        shown = project.succeed("status").out
        sent = project.succeed("spread", "orders").out
        holder.commit()
    engine.dispose()

    assert held["hold"]["missing_id"] == 1
    assert str(pid) in held["hold"]["holder"]
    assert held["hold"]["seconds"] > 0
    assert held["events_behind"] == 2
    assert f"orders: waits for event 1, which {held['hold']['holder']} may still commit" in shown
    assert sent == "0 notification(s) sent!\n"
    assert project.succeed("spread", "orders").out == "3 notification(s) sent!\n"
    assert project.status("orders")["hold"] is None


@pytest.mark.parametrize("count", [3, 8], ids=["fewer", "more"])
def test_where_the_store_is_another_a_replay_passes_no_event_of_it_unasked(
    two: Project, count: int
) -> None:
    engine = create_engine(f"sqlite:///{two.folder / 'events.db'}")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM event"))
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = 'event'"))
    engine.dispose()
    two.append_numbers(11, 10 + count)

    refused = two.run("replay", "orders", "--from", "3")
    assert refused.code == 1
    assert "of 2 event(s) before event 3 nothing says that it was sent them" in refused.err
    assert "--skip" in refused.err
    assert two.status("orders")["last_published_id"] == 5
    meant = two.succeed("replay", "orders", "--from", "3", "--skip").out
    assert meant == (
        f"Exchange 'orders' goes on from event 3: {count - 2} event(s); of 2 event(s) before that "
        "nothing says that they were sent.\n"
    )
    assert "again" not in two.succeed("replay", "audit", "--from", "1").out
    two.succeed("spread", "audit")
    assert written(two, "audit") == [1, 2, 3, 4, 5, *range(1, count + 1)]
