"""Poison as an operator meets it: stopped and shown, or put in quarantine and dealt with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidings.testing import eventually

if TYPE_CHECKING:
    from tests.quarantine.conftest import Poisoned

DYING = Path(__file__).with_name("dying.py")
OTHERS = [1, 2, 3, 4, 5, 7, 8, 9, 10]


def arrived(project: Poisoned) -> list[int]:
    file = project.folder / "orders.jsonl"
    if not file.exists():
        return []
    return [json.loads(line)["event_id"] for line in file.read_text().splitlines()]


def stop_mode(project: Poisoned) -> None:
    project.set_up("orders", "jsonlines", 'path = "orders.jsonl"', on_poison="stop")


def test_a_stopped_exchange_is_shown_and_goes_on_by_itself_when_mended(project: Poisoned) -> None:
    stop_mode(project)
    with project.running("run") as relay:
        relay.wait_for_log("cannot be serialized")
        shown = project.status("orders")
        assert shown["last_published_id"] == 5
        assert shown["stopped_by"]["event_id"] == 6
        assert "event 6 (Numbered) cannot be serialized" in shown["stopped_by"]["reason"]
        said = project.succeed("status").out.splitlines()[-1]
        assert said.startswith("orders: stopped (since 20")
        assert "event 6 (Numbered) cannot be serialized" in said
        assert arrived(project) == [1, 2, 3, 4, 5]
        project.mend(6)
        eventually(lambda: arrived(project) == list(range(1, 11)), "the rest of the events", 60)
        eventually(lambda: project.status("orders")["stopped_by"] is None, "the stop to go", 60)
        assert relay.terminate() == 0


def test_quarantine_goes_on_and_says_what_was_passed(project: Poisoned) -> None:
    spread = project.succeed("spread")
    assert spread.out == "9 notification(s) sent!\n"
    assert arrived(project) == OTHERS
    assert project.listed() == [("orders", 6)]
    shown = project.status("orders")
    assert (shown["last_published_id"], shown["quarantined"], shown["stopped_by"]) == (10, 1, None)
    table = project.succeed("quarantine", "list").out
    assert "Numbered" in table
    assert "event 6 (Numbered) cannot be serialized" in table
    assert "orders: 1 event(s) in quarantine" in project.succeed("status").out


def test_the_type_of_an_event_may_be_mended_where_the_position_rests_on_it(
    project: Poisoned,
) -> None:
    project.poison(10)
    project.succeed("spread")
    assert project.status("orders")["last_published_id"] == 10
    project.mend(10)
    project.mend_type(10, "Mended")
    assert project.status("orders")["state"] == "no relay"
    project.succeed("quarantine", "retry", "orders", "10")
    project.append_numbers(11, 11)
    assert project.succeed("spread").out == "1 notification(s) sent!\n"
    assert arrived(project) == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]


def test_another_event_where_one_in_quarantine_was_stops_the_exchange(project: Poisoned) -> None:
    project.poison(10)
    project.succeed("spread")
    project.mend_time(10)
    refused = project.run("spread")
    assert refused.code == 1
    assert "has had event 10, which was 'an event of 20" in refused.err


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_while_an_event_is_noted_loses_none_and_notes_it_once(
    project: Poisoned, when: str
) -> None:
    killed = subprocess.run(
        [sys.executable, str(DYING), when, "spread"],
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert arrived(project) == [1, 2, 3, 4, 5]
    assert project.listed() == ([] if when == "before" else [("orders", 6)])
    project.succeed("spread")
    assert arrived(project) == OTHERS
    assert project.listed() == [("orders", 6)]


def test_a_retry_sends_what_is_mended_and_keeps_what_is_not(project: Poisoned) -> None:
    project.poison(3)
    project.succeed("spread")
    assert project.listed() == [("orders", 3), ("orders", 6)]
    project.mend(6)
    retried = project.run("quarantine", "retry")
    assert retried.code == 1, "one of the two is still refused"
    assert "Event 6 of exchange 'orders' is sent." in retried.out
    assert "Event 3 of exchange 'orders' stays in quarantine: " in retried.out
    assert project.listed() == [("orders", 3)]
    project.mend(3)
    assert project.succeed("quarantine", "retry", "orders", "3").out.endswith("is sent.\n")
    assert arrived(project) == [1, 2, 4, 5, 7, 8, 9, 10, 6, 3]
    assert project.status("orders")["last_published_id"] == 10
    assert project.succeed("quarantine", "retry").out == "Nothing is in quarantine.\n"
    project.append_numbers(11, 12)
    project.succeed("spread")
    assert arrived(project)[-2:] == [11, 12]
    assert len(arrived(project)) == 12


def test_a_relay_at_work_does_what_is_asked_for(project: Poisoned) -> None:
    with project.running("run") as relay:
        relay.wait_for_log("event 6 is in quarantine")
        eventually(lambda: project.status("orders")["last_published_id"] == 10, "the others", 60)
        project.mend(6)
        retried = project.succeed("quarantine", "retry", "orders")
        assert retried.out == "Event 6 of exchange 'orders' is sent.\n"
        assert "asking" in retried.err
        project.append_numbers(11, 11)
        eventually(lambda: arrived(project)[-1] == 11, "the relay to go on", 60)
        assert relay.terminate() == 0
    assert arrived(project) == [*OTHERS, 6, 11]
    assert project.listed() == []


def test_a_dropped_event_is_gone_from_the_quarantine_alone(project: Poisoned) -> None:
    project.succeed("spread")
    assert project.succeed("quarantine", "drop", "orders", "6").out == (
        "Event 6 of exchange 'orders' is dropped.\n"
    )
    assert project.listed() == []
    again = project.run("quarantine", "drop", "orders", "6")
    assert (again.code, again.err) == (
        1,
        "Error: Event 6 of exchange 'orders' is not in quarantine.\n",
    )
    project.mend(6)
    project.succeed("spread")
    assert arrived(project) == OTHERS


def test_what_is_in_quarantine_is_not_pruned(project: Poisoned) -> None:
    project.succeed("spread")
    assert project.succeed("prune", "--keep", "1").out.startswith("5 event(s) deleted.")
    project.mend(6)
    project.succeed("quarantine", "retry", "orders", "6")
    assert project.succeed("prune", "--keep", "1").out.startswith("4 event(s) deleted.")


def test_an_event_that_is_no_longer_stored_stays_until_it_is_dropped(project: Poisoned) -> None:
    project.succeed("spread")
    project.delete(6)
    retried = project.run("quarantine", "retry", "orders", "6")
    assert retried.code == 1
    assert "It is no longer in the event store." in retried.out


def test_an_event_or_exchange_that_is_not_there_is_named(project: Poisoned) -> None:
    nothing = project.run("quarantine", "retry", "orders", "6")
    assert (nothing.code, nothing.out) == (
        1,
        "Event 6 of exchange 'orders' is not in quarantine.\n",
    )
    nowhere = project.run("quarantine", "retry", "order")
    assert nowhere.code == 2
    assert "Did you mean 'orders'?" in nowhere.err


def test_a_backend_that_takes_no_older_event_says_so(project: Poisoned) -> None:
    project.set_up("orders", "zeromq", 'bind = "tcp://127.0.0.1:1"', "subscribers = ['app']")
    refused = project.run("quarantine", "retry", "orders")
    assert refused.code == 1
    assert "takes no event after one with a greater id" in refused.err
    assert "tidings quarantine drop orders ID" in refused.err
