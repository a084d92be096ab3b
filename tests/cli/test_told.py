"""What commands say unasked: what is gone, what was passed, and which numbers they don't take."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.process import free_port
from tidings.cli import positions
from tidings.cli.main import tidings
from tidings.sql import SqlAlchemyEventStore, SqlAlchemyTracker
from tidings.testing import eventually
from tidings_zeromq import Subscriber

if TYPE_CHECKING:
    from tests.command import Project

CONFIGURATION = """
[event_store]
url = "sqlite:///events.db"

[exchanges.orders]
producer = "jsonlines"
{more}
[producers.jsonlines]
path = "out.jsonl"
"""


@pytest.fixture
def sent(project: Project) -> Project:
    """Give a project that has published ten events of the type `Numbered`."""
    project.configure(CONFIGURATION.format(more=""))
    project.append_numbers(1, 10)
    project.succeed("spread")
    return project


def test_a_replay_from_a_pruned_id_says_what_is_gone(sent: Project) -> None:
    sent.succeed("prune", "--keep", "3")

    said = sent.succeed("replay", "orders", "--from", "5").out.splitlines()

    assert said == [
        "Exchange 'orders' gets every event from 5 again: 3 event(s).",
        "The event store begins with event 8: whatever was stored from 5 to 7 cannot come again.",
    ]
    assert len(sent.succeed("replay", "orders", "--from", "8").out.splitlines()) == 1


def said_here(project: Project, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """Run a command in this very process, with what it was patched with; return its lines."""
    said: list[str] = []
    monkeypatch.setattr(positions, "echo", said.append)
    monkeypatch.chdir(project.folder)
    tidings.main(list(arguments), standalone_mode=False)
    return said


def test_a_replay_says_too_what_was_pruned_at_the_same_moment(
    sent: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_back = SqlAlchemyTracker.replay

    def just_after(tracker: SqlAlchemyTracker, exchange: str, after: int) -> None:
        sent.succeed("prune", "--keep", "3")
        set_back(tracker, exchange, after)

    monkeypatch.setattr(SqlAlchemyTracker, "replay", just_after)
    said = said_here(sent, monkeypatch, "replay", "orders", "--all")

    assert said[-1] == (
        "The event store begins with event 8: whatever was stored from 1 to 7 cannot come again."
    )


def test_a_prune_names_an_exchange_that_was_replayed_at_the_same_moment(
    sent: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = SqlAlchemyEventStore.prune

    def just_after(store: SqlAlchemyEventStore, *which: Any, **how: Any) -> int:
        sent.succeed("replay", "orders", "--all")
        return delete(store, *which, **how)

    monkeypatch.setattr(SqlAlchemyEventStore, "prune", just_after)
    said = said_here(sent, monkeypatch, "prune", "--keep", "3")

    assert said[:2] == [
        "7 event(s) deleted.",
        (
            "Exchange 'orders' was replayed meanwhile, or has just begun: it does not get those "
            "that were deleted."
        ),
    ]


def test_a_new_exchange_says_what_was_pruned_before_it_came(sent: Project) -> None:
    sent.succeed("prune", "--keep", "3")
    text = CONFIGURATION.format(more="").replace("[exchanges.orders]", "[exchanges.late]")
    sent.configure(text.replace("out.jsonl", "late.jsonl"))

    first, second = sent.succeed("spread"), sent.succeed("spread")

    assert first.out == "3 notification(s) sent!\n"
    assert (
        "late has had nothing yet. The event store begins with event 8: whatever was stored from 1 "
        "to 7 cannot come again." in first.err
    )
    assert second.err == ""


def test_pruning_says_whom_it_knows_where_it_deletes(sent: Project) -> None:
    said = sent.succeed("prune", "--keep", "3").out.splitlines()
    again = sent.succeed("prune", "--keep", "3").out.splitlines()

    assert said[0] == "7 event(s) deleted."
    assert said[1].startswith("Every exchange known here has had them: orders. One that only")
    assert again == ["0 event(s) deleted."]


@pytest.mark.parametrize(
    ("events", "unmatched"),
    [
        ('["Ordered", "Numbered,Ordered"]', 10),
        ('["Ordered", "Number*"]', 0),
        ("[]", 0),
    ],
)
def test_status_tells_of_a_filter_that_has_matched_nothing(
    sent: Project, events: str, unmatched: int
) -> None:
    sent.configure(CONFIGURATION.format(more=f"events = {events}"))

    found = json.loads(sent.succeed("status", "--json").out)["exchanges"][0]
    text = sent.succeed("status").out

    assert found["passed_unmatched"] == unmatched
    assert ("orders: none of the newest 10 event(s) that it has passed" in text) == bool(unmatched)


def test_a_filter_that_has_not_passed_anything_yet_is_not_blamed(project: Project) -> None:
    project.configure(CONFIGURATION.format(more='events = ["Ordered"]'))
    project.append_numbers(1, 10)

    assert project.status("orders")["passed_unmatched"] == 0


def test_a_number_that_nothing_can_hold_is_wrong_use(sent: Project) -> None:
    for arguments in [
        ["prune", "--older-than", "999999w"],
        ["prune", "--older-than", "٣d"],
        ["prune", "--keep", "1" + "0" * 30],
        ["replay", "orders", "--from", str(2**63)],
        ["spread", "--limit", "1" + "0" * 30],
        ["run", "--limit", "-1"],
        ["listen", "--timeout", "nan"],
        ["listen", "--timeout", "inf"],
        ["listen", "--timeout", "1e300"],
        ["listen", "--count", "1" + "0" * 30],
        ["quarantine", "retry", "orders", str(2**63)],
        ["quarantine", "drop", "orders", str(2**63)],
    ]:
        result = sent.run(*arguments)

        assert result.code == 2, result
        assert result.err.startswith("Usage: tidings"), result


def test_a_large_number_that_can_be_held_is_taken(sent: Project) -> None:
    largest = str(2**63 - 1)

    sent.succeed("prune", "--keep", largest)
    sent.succeed("spread", "--limit", largest)
    sent.succeed("prune", "--older-than", "5000w")
    sent.succeed("replay", "orders", "--from", largest)


OVER_ZEROMQ = """
[event_store]
url = "sqlite:///events.db"

[exchanges.orders]
producer = "zeromq"

[producers.zeromq]
bind = "{address}"
"""


def receive(address: str, last_id: int, count: int) -> list[int]:
    ids: list[int] = []
    with Subscriber(
        connect=address, exchange_name="orders", name="app", last_id=last_id
    ) as subscriber:

        def all_came() -> bool:
            message = subscriber.receive(0.1)
            if message is not None:
                ids.append(int(message.message_id))
                subscriber.acknowledge(message)
            return len(ids) == count

        eventually(all_came, f"{count} messages", 60)
    return ids


def test_a_zeromq_subscriber_older_than_a_prune_is_named_on_both_sides(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    project.configure(OVER_ZEROMQ.format(address=address))
    project.append_numbers(1, 10)
    with project.running("run"):
        assert receive(address, 0, 10) == list(range(1, 11))
        eventually(lambda: project.status("orders")["events_behind"] == 0, "all to be tracked", 60)
    project.succeed("prune", "--keep", "3")

    with caplog.at_level(logging.WARNING), project.running("run") as relay:
        assert receive(address, 1, 3) == [8, 9, 10]
        relay.wait_for_log(
            "Subscriber 'app' of exchange 'orders' asks for events from 2 on; those before 8 are "
            "no longer in the event store"
        )
    assert "lacks events 2 to 7: they are no longer in the relay's event store" in caplog.text
