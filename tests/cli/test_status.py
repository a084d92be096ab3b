"""Every state of an exchange has its own true word, in `status`, in `check`, and in the log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.cli.projects import TWO
from tests.servers import free_port
from tidings.operations.state import State
from tidings.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Project
    from tests.servers.given import StreamBroker

DOWN = """
[event_store]
url = "sqlite:///events.db"

[exchanges.orders]
producer = "rabbitmq"

[producers.rabbitmq]
url = "amqp://app:geheim@127.0.0.1:{port}/"
"""


@pytest.fixture
def sent(project: Project) -> Project:
    """Give a project with two exchanges, of which one has had five events."""
    project.configure(TWO)
    project.append_numbers(1, 5)
    project.succeed("spread", "orders")
    return project


def execute(project: Project, statement: str) -> None:
    with closing(sqlite3.connect(project.folder / "events.db")) as database, database:
        database.execute(statement)


def becomes(project: Project, state: str, exchange: str = "orders") -> dict[str, Any]:
    eventually(lambda: project.status(exchange)["state"] == state, f"the state {state}", 60)
    return project.status(exchange)


def line_of(project: Project, exchange: str = "orders") -> str:
    lines = project.succeed("status").out.splitlines()
    return next(line for line in lines if line.startswith(f"{exchange}:"))


def test_a_position_ahead_of_the_store_is_broken(sent: Project) -> None:
    execute(sent, "DELETE FROM event WHERE event_id > 2")

    row = sent.status("orders")
    assert (row["state"], row["events_behind"]) == ("mismatch", 0)
    assert "ends with event 2" in row["problem"]["reason"]
    assert line_of(sent).startswith("orders: mismatch: Exchange 'orders' has had event 5")
    assert sent.run("status", "--fail").code == 1
    checked = sent.run("check")
    assert checked.code == 1
    assert "FAILED  exchange orders: mismatch: " in checked.out


def test_what_poison_stops_is_broken_also_while_no_relay_runs(sent: Project) -> None:
    execute(
        sent, "INSERT INTO event (type_name, body, occurred_on) VALUES ('A', '{', '2026-01-01')"
    )
    assert sent.run("spread", "orders").code == 1

    row = sent.status("orders")
    assert row["state"] == "stopped"
    assert row["stopped_by"]["event_id"] == 6
    assert line_of(sent).startswith("orders: stopped (since 20")
    assert sent.run("status", "--fail").code == 1
    assert "FAILED  exchange orders: stopped (since " in sent.run("check").out


def test_a_broker_ahead_of_the_store_fails_the_check_before_any_relay_meets_it(
    sent: Project,
) -> None:
    execute(sent, "DELETE FROM event WHERE event_id > 2")
    execute(
        sent,
        "UPDATE event_published_message_tracker SET most_recent_published_message_id = 2, "
        "fingerprint = NULL",
    )

    checked = sent.run("check")

    assert checked.code == 1
    assert "FAILED  exchange orders: Exchange 'orders': the broker already has event 5" in (
        checked.out
    )
    assert sent.status("orders")["stopped_by"] is None  # a check changes nothing


def test_a_relay_that_cannot_reach_its_broker_says_so_and_when_it_tries_again(
    project: Project,
) -> None:
    port = free_port()
    project.configure(DOWN.format(port=port))
    with project.running("run") as relay:
        row = becomes(project, "failing")
        said = line_of(project)
        failed = project.run("status", "--fail")
        checked = project.run("check")

        assert f"pid={relay.process.pid} " in row["relay"]
        assert str(port) in row["problem"]["reason"]
        assert row["problem"]["since"] <= row["problem"]["next_try"]
        assert said.startswith("orders: failing (since 20")
        assert " UTC, next try " in said or " UTC, tried " in said
        assert failed.code == 1
        assert f":{relay.process.pid}\n" in failed.out
        assert checked.code == 1
        assert "geheim" not in said + checked.out
        assert relay.terminate() == 0

    assert project.status("orders")["state"] == "no relay"
    assert project.run("status", "--fail").code == 0


def test_a_working_relay_and_its_standby_are_shown_at_80_columns(project: Project) -> None:
    with project.running("run") as first:
        first.wait_for_log("carried by this relay")
        with project.running("run") as second:
            second.wait_for_log("standing by")
            eventually(lambda: project.status("orders")["standbys"], "the standby", 60)
            row = project.status("orders")
            shown = project.succeed("status", COLUMNS="80").out.splitlines()
            check = project.succeed("check").out

            assert row["state"] == "working"
            assert row["problem"] is None
            assert f"pid={first.process.pid} " in row["relay"]
            assert [f"pid={second.process.pid} " in owner for owner in row["standbys"]] == [True]
            assert max(map(len, shown)) <= 80
            assert len(shown) == 3
            assert shown[1].endswith(f":{first.process.pid}")
            assert shown[2].endswith(f":{second.process.pid}.")
            assert f"carried by {shown[1].split()[-1]}" in check
            second.terminate()
        assert project.status("orders")["standbys"] == []
        first.process.kill()
        first.process.wait()

    assert project.status("orders")["state"] == "no relay"  # its lease still runs


def test_a_run_says_once_what_it_carries_and_a_replay_is_no_failure(project: Project) -> None:
    project.append_numbers(1, 3)
    with project.running("run") as relay:
        eventually(lambda: project.status("orders")["events_behind"] == 0, "three events", 60)
        project.succeed("replay", "orders", "--from", "2")
        relay.wait_for_log("orders: replayed; it goes on from event 2")
        eventually(lambda: project.status("orders")["events_behind"] == 0, "two events", 60)
        assert relay.terminate() == 0
        log = relay.err

    first, *others = log.splitlines()
    assert f":{relay.process.pid}, carries orders (jsonlines)" in first
    assert "orders: carried by this relay, from event 1 on" in others[0]
    assert " error: " not in log
    assert " warning: " not in log


def test_debug_says_how_far_each_batch_got(project: Project) -> None:
    project.append_numbers(1, 3)
    with project.running("--debug", "run") as detailed:
        detailed.wait_for_log("debug: orders: 3 event(s) accepted, tracked up to 3")
        assert detailed.terminate() == 0
    with project.running("run") as usual:
        usual.wait_for_log("orders: carried by this relay, from event 4 on")
        project.append_numbers(4, 6)
        eventually(lambda: project.status("orders")["events_behind"] == 0, "three events", 60)
        assert usual.terminate() == 0

    assert " debug: " not in usual.err


def test_a_restore_by_the_page_logs_no_error(sent: Project) -> None:
    execute(sent, "DELETE FROM event WHERE event_id > 3")
    execute(sent, "UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'event'")
    assert sent.succeed("replay", "orders", "--from", "6", "--skip").out.startswith(
        "Exchange 'orders' goes on from event 6: 0 event(s); of 3 event(s) before that nothing says"
    )
    with sent.running("run", "orders") as relay:
        relay.wait_for_log("waits for event 6, as a replay said; the event store ends with event 3")
        assert sent.status("orders")["state"] == "waiting"
        assert sent.run("status", "--fail").code == 0
        assert "ok      exchange orders" in sent.run("check").out
        sent.append_numbers(6, 6)
        eventually(lambda: sent.status("orders")["last_published_id"] == 5001, "the event", 60)
        assert relay.terminate() == 0
        assert " error: " not in relay.err


def test_two_relays_that_cannot_work_are_no_relay_and_its_standby(
    project: Project, rabbitmq: StreamBroker
) -> None:
    """Each holds the exchange in its turn: RabbitMQ takes a second to refuse a password."""
    refused = urlsplit(rabbitmq.url)._replace(scheme="amqp")
    project.configure(DOWN.replace("127.0.0.1:{port}", f"{refused.hostname}:{refused.port}"))
    with project.running("run") as first:
        since = becomes(project, "failing")["problem"]["since"]
        with project.running("run") as second:
            second.wait_for_log("refused the login")
            first_tries = tries = project.status("orders")["problem"]["next_try"]
            while tries <= first_tries:
                row = project.status("orders")
                assert (row["state"], row["standbys"]) == ("failing", [])
                assert row["problem"]["since"] == since
                tries = row["problem"]["next_try"]
            assert project.run("status", "--fail").code == 1
            # The second one may begin while the first one tries: until it has failed, too.
            assert "standing by" not in first.err + second.err.partition("refused the login")[2]


def test_a_try_that_is_due_is_not_told_as_one_to_come() -> None:
    began = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    tried = State("failing", "No broker.", began, began + timedelta(seconds=10))
    to_come = tried._replace(next_try=datetime(9999, 1, 2, 3, 4, 15, tzinfo=UTC))

    times = "failing (since 2026-01-02 03:04:05 UTC, {} 03:04:15 UTC): No broker."
    assert tried.sentence() == times.format("tried")
    assert to_come.sentence() == times.format("next try")


def test_beyond_a_bound_it_says_that_more_are_behind(project: Project) -> None:
    project.succeed("append", stdin='{"type_name": "A", "body": 1}\n')
    fill(project.folder / "events.db", 10_001)
    project.succeed("replay", "orders", "--all")

    row = project.status("orders")
    assert (row["events_behind"], row["events_behind_is_exact"]) == (20_001, False)
    shown = project.succeed("status").out
    assert ">10000" in shown
    assert "orders: more than 10000 events are behind, by their ids at most 20001.\n" in shown
    replayed = project.succeed("replay", "orders", "--all").out
    assert "gets every event from 1 again: more than 10000 event(s)." in replayed
    refused = project.run("replay", "orders", "--from", "20002")
    assert refused.code == 1
    assert "would pass more than 10000 event(s) that it was never sent" in refused.err


def fill(file: Path, count: int) -> None:
    """Store so many events with every other id."""
    with sqlite3.connect(file) as database:
        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO event (event_id, type_name, body, occurred_on) "
            "SELECT 2 * i - 1, 'A', '{}', '2026-01-02T03:04:05.000006+00:00' FROM n WHERE i > 1",
            [count],
        )
    database.close()
