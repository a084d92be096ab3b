"""How far an exchange is behind, what holds it, and events that its filter has passed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from tests.cli.projects import ONE, TWO
from tidings.plugins import IdleRelay
from tidings.sql import SqlAlchemySettings, SqlAlchemyTracker

if TYPE_CHECKING:
    from tests.command import Project
    from tests.servers.given import DatabaseServer


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


@pytest.mark.parametrize(
    ("events", "unmatched"),
    [
        ('["Ordered", "Numbered,Ordered"]', 10),
        ('["Ordered", "Number*"]', 0),
        ("[]", 0),
    ],
)
def test_status_tells_of_a_filter_that_has_matched_nothing(
    ten: Project, events: str, unmatched: int
) -> None:
    ten.configure(ONE.replace("[producers", f"events = {events}\n[producers"))

    found = json.loads(ten.succeed("status", "--json").out)["exchanges"][0]
    shown = ten.succeed("status").out

    assert found["passed_unmatched"] == unmatched
    assert ("orders: none of the newest 10 event(s) that it has passed" in shown) == bool(unmatched)


def test_a_filter_that_has_not_passed_anything_yet_is_not_blamed(project: Project) -> None:
    project.configure(ONE.replace("[producers", 'events = ["Ordered"]\n[producers'))
    project.append_numbers(1, 10)

    assert project.status("orders")["passed_unmatched"] == 0
