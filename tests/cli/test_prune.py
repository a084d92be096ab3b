from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.projects import ONE, TWO, said_here
from tests.servers import free_port
from tidings.sql import SqlAlchemyEventStore
from tidings.testing import eventually
from tidings_zeromq import Subscriber

if TYPE_CHECKING:
    from tests.command import Project

SAME_EVENTS = """
[exchanges.late]
producer = "jsonlines"
source = "again"

[sources.again]
backend = "sqlalchemy"
url = "sqlite:///events.db"
"""


def test_pruning_keeps_what_an_exchange_has_not_had(two: Project) -> None:
    two.append_numbers(6, 9)
    two.succeed("spread", "orders")

    dry = two.succeed("prune", "--keep", "1", "--dry-run").out
    done = two.succeed("prune", "--keep", "1").out

    assert dry.startswith("5 event(s) would be deleted.\n")
    assert done.startswith("5 event(s) deleted.\nOthers stay: exchange 'audit'")
    assert two.succeed("spread", "audit").out == "4 notification(s) sent!\n"


def test_pruning_waits_for_an_exchange_that_has_the_same_events_by_another_name(
    two: Project,
) -> None:
    two.configure(f"{TWO}{SAME_EVENTS}")

    kept = two.succeed("prune", "--keep", "1").out.splitlines()

    assert kept == [
        "0 event(s) deleted.",
        "Others stay: exchange 'late' has not had them yet.",
    ]
    assert two.succeed("spread", "late").out == "5 notification(s) sent!\n"


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


def test_a_prune_names_an_exchange_that_was_replayed_at_the_same_moment(
    ten: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = SqlAlchemyEventStore.prune

    def just_after(store: SqlAlchemyEventStore, *which: Any, **how: Any) -> int:
        ten.succeed("replay", "orders", "--all")
        return delete(store, *which, **how)

    monkeypatch.setattr(SqlAlchemyEventStore, "prune", just_after)
    said = said_here(ten, monkeypatch, "prune", "--keep", "3")

    assert said[:2] == [
        "7 event(s) deleted.",
        (
            "Exchange 'orders' was replayed meanwhile, or has just begun: it does not get those "
            "that were deleted."
        ),
    ]


def test_a_new_exchange_says_what_was_pruned_before_it_came(ten: Project) -> None:
    ten.succeed("prune", "--keep", "3")
    ten.configure(ONE.replace("[exchanges.orders]", "[exchanges.late]"))

    first, second = ten.succeed("spread"), ten.succeed("spread")

    assert first.out == "3 notification(s) sent!\n"
    assert (
        "late has had nothing yet. The event store begins with event 8: whatever was stored from 1 "
        "to 7 cannot come again." in first.err
    )
    assert second.err == ""


def test_pruning_says_whom_it_knows_where_it_deletes(ten: Project) -> None:
    said = ten.succeed("prune", "--keep", "3").out.splitlines()
    again = ten.succeed("prune", "--keep", "3").out.splitlines()

    assert said[0] == "7 event(s) deleted."
    assert said[1].startswith("Every exchange known here has had them: orders. One that only")
    assert again == ["0 event(s) deleted."]


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
