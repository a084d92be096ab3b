"""A row that cannot be read is poison of that one event, in every command."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.sql.databases import event_store
from tidings.builtin.json_serializer import JsonSerializer
from tidings.errors import UndeliverableEventError
from tidings.relay.stored_notifications import StoredNotifications

if TYPE_CHECKING:
    from tests.quarantine.conftest import Poisoned

OTHERS = [1, 2, 3, 4, 5, 7, 8, 9, 10]


@pytest.fixture
def project(project: Poisoned) -> Poisoned:
    """Give ten events, of which the time of the sixth cannot be read."""
    project.mend(6)
    project.spoil_time(6)
    return project


def arrived(project: Poisoned) -> list[int]:
    lines = (project.folder / "orders.jsonl").read_text().splitlines()
    return [json.loads(line)["event_id"] for line in lines]


def reconfigure(project: Poisoned, old: str, new: str) -> None:
    file = project.folder / "tidings.toml"
    file.write_text(file.read_text().replace(old, new))


def test_it_goes_into_quarantine_and_out_when_it_was_mended(project: Poisoned) -> None:
    assert project.succeed("spread").out == "9 notification(s) sent!\n"
    assert arrived(project) == OTHERS
    assert project.listed() == [("orders", 6)]
    listed = project.succeed("quarantine", "list").out
    assert "Event 6 (Numbered)" in listed
    assert "occurred_on: A time in the database is '1790000000'" in listed
    refused = project.run("quarantine", "retry", "orders", "6")
    assert "event 6 stays in quarantine: Exchange 'orders': Event 6 (Numbered) in" in refused.err
    assert project.listed() == [("orders", 6)]
    project.mend_time(6)
    project.succeed("quarantine", "retry", "orders", "6")
    project.succeed("spread")
    assert arrived(project) == [*OTHERS, 6]
    assert project.listed() == []


def test_it_stops_its_exchange_where_that_is_what_poison_does(project: Poisoned) -> None:
    reconfigure(project, '"quarantine"', '"stop"')
    assert "Exchange 'orders': Event 6 (Numbered) in SQLite" in project.run("spread").err
    assert arrived(project) == [1, 2, 3, 4, 5]
    shown = project.status("orders")
    assert (shown["last_published_id"], shown["events_behind"]) == (5, 5)
    assert shown["stopped_by"]["event_id"] == 6
    assert "cannot be read" in shown["stopped_by"]["reason"]
    project.mend_time(6)
    project.succeed("spread")
    assert arrived(project) == list(range(1, 11))


def test_the_status_of_every_exchange_is_shown(project: Poisoned) -> None:
    for event_id in range(1, 7):
        project.spoil_time(event_id)
    shown = project.status("orders")
    assert (shown["last_published_id"], shown["events_behind"]) == (None, 10)
    assert shown["seconds_behind"] > 0
    project.succeed("check")


def test_a_position_may_rest_on_it_and_it_may_be_mended_there(project: Poisoned) -> None:
    project.spoil_time(10)
    project.succeed("spread")
    assert project.status("orders")["last_published_id"] == 10
    project.succeed("spread")
    project.mend_time(10)
    project.append_numbers(11, 11)
    project.succeed("spread")
    assert arrived(project) == [1, 2, 3, 4, 5, 7, 8, 9, 11]


def test_an_exchange_that_does_not_want_its_type_passes_it(project: Poisoned) -> None:
    reconfigure(project, "on_poison =", 'events = ["Other*"]\non_poison =')
    project.spoil_time(10)
    assert project.succeed("spread").out == "0 notification(s) sent!\n"
    assert project.listed() == []
    assert project.status("orders")["last_published_id"] == 10


def test_a_replay_passes_it_and_a_prune_deletes_what_all_have_had(project: Poisoned) -> None:
    project.succeed("spread")
    project.succeed("replay", "orders", "--from", "5")
    assert project.succeed("spread").out == "5 notification(s) sent!\n"
    assert arrived(project) == [*OTHERS, 5, 7, 8, 9, 10]
    project.succeed("quarantine", "drop", "orders", "6")
    assert project.succeed("prune", "--keep", "1").out.startswith("9 event(s) deleted.\n")


def test_events_for_subscribers_leave_it_out_only_where_poison_is_passed(
    project: Poisoned,
) -> None:
    with closing(event_store(f"sqlite:///{project.folder / 'events.db'}")) as store:

        def notifications(*, passes: bool, events: str = "*") -> StoredNotifications:
            return StoredNotifications(
                lambda: store, lambda _: JsonSerializer(), lambda _: [events], lambda _: passes
            )

        passing, given = notifications(passes=True), [0]
        while found := passing.since("x", given[-1], 100):
            given += [each.event_id for each in found]
        assert given == [0, *OTHERS]
        with pytest.raises(UndeliverableEventError, match="Exchange 'x': Event 6 "):
            notifications(passes=False).since("x", 5, 100)
        assert not notifications(passes=False, events="Other*").since("x", 0, 100)
