from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

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

    assert lines[1].split()[:5] == ["orders", "jsonlines", "5", "5", "0"]
    assert lines[2].split()[:5] == ["audit", "jsonlines", "5", "5", "0"]


def test_a_replay_repeats_for_one_exchange_and_no_other_notices(two: Project) -> None:
    result = two.succeed("replay", "orders", "--from", "4")
    two.succeed("spread", "orders")
    two.succeed("spread", "audit")

    assert result.out == "Exchange 'orders' gets every event from 4 again: 2 event(s).\n"
    assert written(two, "orders") == [1, 2, 3, 4, 5, 4, 5]
    assert written(two, "audit") == [1, 2, 3, 4, 5]


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

    assert two.succeed("prune", "--older-than", "30d").out == "1 event(s) deleted.\n"


@pytest.mark.parametrize("arguments", [[], ["--older-than", "1x"], ["--keep", "0"]])
def test_pruning_without_a_clear_bound_is_refused(two: Project, arguments: list[str]) -> None:
    assert two.run("prune", *arguments).code == 2
    assert two.status("orders")["newest_event_id"] == 5


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
