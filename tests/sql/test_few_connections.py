"""Many exchanges use few connections, and one whose call lasts keeps no other waiting."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from tests.sql.databases import application_engine, url_of
from tests.sql.test_tracker import stored
from tests.sql.waiting import Beside, waits_for_locks
from tidings import NewEvent, Tidings
from tidings.sql.few_connections import MOST, Turns
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidings.sql.event_store import SqlAlchemyEventStore

EXCHANGES = 40
FOREVER = 3600.0

CONFIGURATION = """
[event_store]
url = "{url}"
[producers.file]
backend = "jsonlines"
path = "{path}"
"""


@pytest.fixture
def server_tracker(server_store: SqlAlchemyEventStore) -> Iterator[SqlAlchemyTracker]:
    tracker = SqlAlchemyTracker(SqlAlchemySettings(url=SecretStr(url_of(server_store))))
    yield tracker
    tracker.close()


def test_calls_that_last_keep_no_other_exchange_and_no_lease_waiting(
    server_tracker: SqlAlchemyTracker, server_engine: Engine
) -> None:
    names = [f"x{number}" for number in range(3 * MOST)]
    leases = {name: server_tracker.acquire_lease(name, "a", 60) for name in names}
    free = server_tracker.acquire_lease("free", "a", 60)
    lock = text(
        "SELECT * FROM event_published_message_tracker WHERE type_name LIKE 'x%' FOR UPDATE"
    )

    def track(name: str) -> None:
        server_tracker.track_most_recent_published_message(name, stored(1), leases[name])

    # If rows are read again and again, MariaDB would lock all that it looks at.
    locking = server_engine.execution_options(isolation_level="READ COMMITTED")
    with locking.begin() as connection:
        connection.execute(lock)
        held = [Beside(lambda name=name: track(name)) for name in names]  # type: ignore[misc]  # a lambda in a loop
        eventually(lambda: waits_for_locks(server_engine) > MOST)
        Beside(lambda: _renew(server_tracker, free)).result(30)
        moved = Beside(
            lambda: server_tracker.track_most_recent_published_message("free", stored(2), free)
        )
        moved.result(30)
    for each in held:
        each.result()
    assert server_tracker.most_recent_published_message_id("x0") == 1


def _renew(tracker: SqlAlchemyTracker, lease: object) -> None:
    assert tracker.renew_leases([lease]) == {lease: True}  # type: ignore[list-item]


def test_many_exchanges_use_eight_connections_at_most(
    postgresql_store: SqlAlchemyEventStore, tmp_path: Path
) -> None:
    url = url_of(postgresql_store)
    file = tmp_path / "tidings.toml"
    names = [f"x{number}" for number in range(EXCHANGES)]
    exchanges = "".join(f'[exchanges.{name}]\nproducer = "file"\n' for name in names)
    file.write_text(
        CONFIGURATION.format(url=url.replace("+psycopg", ""), path=tmp_path / "{exchange}")
        + exchanges
    )
    engine = application_engine(url)
    ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    with Tidings.from_file(file, environ={}) as tidings, engine.connect() as connection:
        postgresql_store.close()
        worker = tidings.worker([])
        thread = threading.Thread(target=worker.run)
        thread.start()
        most = 0

        def all_have(event_id: int) -> bool:
            nonlocal most
            most = max(most, connection.execute(text(ours)).scalar_one() - 1)
            connection.rollback()
            rows = tidings.tracker.tracked_exchanges()
            return sum(row.position.event_id == event_id for row in rows) == EXCHANGES

        try:
            for event_id in range(1, 6):
                with postgresql_store.transaction() as transaction:
                    postgresql_store.append(transaction, NewEvent("A", {}))
                postgresql_store.close()
                eventually(lambda event_id=event_id: all_have(event_id), seconds=120)  # type: ignore[misc]
        finally:
            worker.shut_down()
            thread.join()
    engine.dispose()
    assert most <= 8


def test_turns_are_taken_and_one_more_goes_in_each_time_that_nobody_comes_out() -> None:
    turns, inside, may_end = Turns(2, 0.05), list[int](), threading.Event()

    def last() -> None:
        with turns:
            inside.append(1)
            may_end.wait(60)

    calls = [Beside(last) for _ in range(5)]
    eventually(lambda: len(inside) == 5)
    may_end.set()
    for call in calls:
        call.result()


def test_as_long_as_calls_end_no_more_are_inside_than_may_be() -> None:
    turns, inside, most = Turns(3, FOREVER), set[int](), list[int]()
    all_there = threading.Barrier(3)

    def work(number: int) -> None:
        with turns:
            inside.add(number)
            most.append(len(inside))
            all_there.wait(60)
            inside.discard(number)

    calls = [Beside(lambda number=number: work(number)) for number in range(12)]  # type: ignore[misc]  # a lambda in a loop
    for call in calls:
        call.result()
    assert max(most) == 3


def pass_through(turns: Turns) -> None:
    with turns:
        pass


def test_after_a_call_that_lasted_fewer_will_do_again() -> None:
    turns, may_end = Turns(1, 0.05), threading.Event()

    def last() -> None:
        with turns:
            may_end.wait(60)

    lasting = Beside(last)
    Beside(lambda: pass_through(turns)).result()
    may_end.set()
    lasting.result()
    turns.patience = FOREVER
    with turns:
        late = Beside(last)
        late.join(0.2)
        assert late.is_alive(), "there is one place again"
    late.result()
