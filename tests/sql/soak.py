"""Eight writers at once, a reader beside them, and what became of the events."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.event import listen

from tests.sql.waiting import Beside
from tidings.event import NewEvent
from tidings.sql.append import event_row
from tidings.sql.tables import event

WRITERS = 8
AGGREGATES = 5
ROLLBACKS = 0.1
ENOUGH = 200
"""Commits, at the least."""

Append = Callable[[Connection, Sequence[NewEvent]], None]
Read = Callable[[int], Sequence[tuple[int, str | None, str]]]
"""Gives (event_id, aggregate_id, body) of some events after an id."""


@dataclass(frozen=True)
class Outcome:
    """What a reader was given, against what was committed."""

    stored: int
    lost: int
    duplicated: int
    out_of_order: int
    versions_gone_down: int


def soak(engine: Engine, append: Append, read: Read, *, seconds: float, sleeps: float) -> Outcome:
    """Let the writers write for that long and the reader read; return what came of it.

    They go on, on a machine that is slow, until enough is committed.
    """
    if engine.dialect.name == "sqlite":
        # It gives the lock to whoever asks next, so that one of eight may wait for very long.
        listen(engine, "connect", lambda opened, _: opened.execute("PRAGMA busy_timeout = 60000"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE aggregate (id int PRIMARY KEY, version int)"))
        for number in range(AGGREGATES):
            connection.execute(text(f"INSERT INTO aggregate VALUES ({number}, 0)"))
    end = time.monotonic() + seconds
    commits: list[int] = []

    def goes_on() -> bool:
        return time.monotonic() < end or len(commits) < ENOUGH

    def write(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        _write(engine, append, goes_on=goes_on, commits=commits, sleeps=sleeps, chance=chance)

    writers = [
        Beside(lambda seed=seed: write(seed))  # type: ignore[misc]  # a lambda in a loop
        for seed in range(WRITERS)
    ]
    finished = threading.Event()
    given: list[tuple[int, str | None, str]] = []
    reader = Beside(lambda: _read(read, given, finished))
    try:
        for writer in writers:
            writer.result()
    finally:
        finished.set()
        reader.result()
    with engine.connect() as connection:
        stored = connection.execute(text("SELECT event_id FROM event")).scalars().all()
    return outcome_of(given, stored)


def outcome_of(given: list[tuple[int, str | None, str]], stored: Sequence[int]) -> Outcome:
    """Compare what was given, in its order, with what was committed."""
    ids = [event_id for event_id, _aggregate, _body in given]
    versions: dict[str | None, int] = {}
    gone_down = 0
    for _event_id, aggregate, body in given:
        version = json.loads(body)
        gone_down += version <= versions.get(aggregate, 0)
        versions[aggregate] = version
    return Outcome(
        stored=len(stored),
        lost=len(set(stored) - set(ids)),
        duplicated=len(ids) - len(set(ids)),
        out_of_order=sum(later < earlier for earlier, later in itertools.pairwise(ids)),
        versions_gone_down=gone_down,
    )


def insert_plainly(connection: Connection, events: Sequence[NewEvent]) -> None:
    """Insert as somebody would who doesn't use `append`."""
    connection.execute(insert(event), [event_row(new) for new in events])


def naive_reader(engine: Engine) -> Read:
    """Return a reader that takes what it sees, and goes on from the greatest id."""
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    query = text(
        "SELECT event_id, aggregate_id, body FROM event WHERE event_id > :since "
        "ORDER BY event_id LIMIT 1000"
    )
    return lambda since: [
        (row[0], row[1], row[2]) for row in connection.execute(query, {"since": since})
    ]


def _write(
    engine: Engine,
    append: Append,
    *,
    goes_on: Callable[[], bool],
    commits: list[int],
    sleeps: float,
    chance: random.Random,
) -> None:
    """Change an aggregate, append what happened to it, and commit, over and over."""
    pause = threading.Event()
    with engine.connect() as connection:
        while goes_on():
            aggregate = {"id": chance.randrange(AGGREGATES), "count": chance.randint(1, 3)}
            connection.execute(
                text("UPDATE aggregate SET version = version + :count WHERE id = :id"), aggregate
            )
            version = connection.execute(
                text("SELECT version FROM aggregate WHERE id = :id"), aggregate
            ).scalar_one()
            append(
                connection,
                [
                    NewEvent("Changed", version - back, aggregate_id=str(aggregate["id"]))
                    for back in range(aggregate["count"] - 1, -1, -1)
                ],
            )
            if sleeps:
                pause.wait(chance.random() * sleeps)
            if chance.random() < ROLLBACKS:
                connection.rollback()
            else:
                connection.commit()
                commits.append(1)
            if sleeps:
                pause.wait(chance.random() * sleeps)


def _read(read: Read, given: list[tuple[int, str | None, str]], finished: threading.Event) -> None:
    position = 0
    while True:
        last_look = finished.is_set()
        events = read(position)
        given += events
        if events:
            position = events[-1][0]
        elif last_look:
            return
        else:
            finished.wait(0.001)
