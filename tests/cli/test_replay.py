from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

from tests.cli.projects import TWO, said_here, written
from tidings.errors import TidingsError
from tidings.sql import SqlAlchemyTracker

if TYPE_CHECKING:
    from tests.command import Project
    from tests.servers.given import DatabaseServer


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


def test_a_replay_passes_no_event_unasked_that_somebody_may_still_commit(
    project: Project, postgresql: DatabaseServer
) -> None:
    url = postgresql.new_database()
    project.configure(TWO.replace("sqlite:///events.db", url))
    project.succeed("init", "--tables")
    insert = text("INSERT INTO event (type_name, body, occurred_on) VALUES ('A', '1', now())")
    engine = create_engine(url)
    with engine.connect() as holder:
        holder.execute(insert)
        pid = holder.execute(text("SELECT pg_backend_pid()")).scalar_one()
        project.append_numbers(2, 3)

        refused = project.run("replay", "orders", "--from", "2")
        skipped = project.succeed("replay", "audit", "--from", "2", "--skip").out
        holder.commit()
    engine.dispose()

    assert refused.code == 1
    assert f"would pass event 1, which process {pid} may still commit. Nothing" in refused.err
    assert skipped == (
        "Exchange 'audit' goes on from event 2: 2 event(s); event 1, if it is committed, is never "
        "sent.\n"
    )
    assert project.succeed("spread", "orders").out == "3 notification(s) sent!\n"
    assert project.succeed("spread", "audit").out == "2 notification(s) sent!\n"


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


def test_a_replay_from_a_pruned_id_says_what_is_gone(ten: Project) -> None:
    ten.succeed("prune", "--keep", "3")

    said = ten.succeed("replay", "orders", "--from", "5").out.splitlines()

    assert said == [
        "Exchange 'orders' gets every event from 5 again: 3 event(s).",
        "The event store begins with event 8: whatever was stored from 5 to 7 cannot come again.",
    ]
    assert len(ten.succeed("replay", "orders", "--from", "8").out.splitlines()) == 1


def test_a_replay_says_too_what_was_pruned_at_the_same_moment(
    ten: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_back = SqlAlchemyTracker.replay

    def just_after(tracker: SqlAlchemyTracker, *which: Any, **how: Any) -> bool:
        ten.succeed("prune", "--keep", "3")
        return set_back(tracker, *which, **how)

    monkeypatch.setattr(SqlAlchemyTracker, "replay", just_after)
    said = said_here(ten, monkeypatch, "replay", "orders", "--all")

    assert said[-1] == (
        "The event store begins with event 8: whatever was stored from 1 to 7 cannot come again."
    )


def test_of_two_replays_at_the_same_moment_the_later_changes_nothing(
    ten: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_back = SqlAlchemyTracker.replay

    def just_after(tracker: SqlAlchemyTracker, *which: Any, **how: Any) -> bool:
        ten.succeed("replay", "orders", "--from", "3")
        return set_back(tracker, *which, **how)

    monkeypatch.setattr(SqlAlchemyTracker, "replay", just_after)
    with pytest.raises(TidingsError, match="replayed by somebody else at the same moment"):
        said_here(ten, monkeypatch, "replay", "orders", "--from", "9")

    assert ten.status("orders")["last_published_id"] == 2
