"""Whatever a program does with a session, and with the connection that it was given.

With every event that is recorded, the session writes a row. A program ends well if the connection
keeps both or neither, or if somebody was told: by an error, or in the log.
"""

from __future__ import annotations

import itertools
import logging
import os
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from sqlalchemy.orm import Session
from typing_extensions import override

from tests.sql.witnessed import Database, is_of_sqlalchemy, witness
from tidings.errors import EventStoreError
from tidings.event import NewEvent
from tidings.sql.recording import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import SessionTransaction

PROGRAMS = int(os.environ.get("TIDINGS_PROGRAMS", "150"))
MODES = ["conditional_savepoint", "rollback_only", "control_fully", "create_savepoint"]


class Warned(logging.Handler):
    """Notes whether the log has told something."""

    said = False

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.said = True


class Program:
    """A connection, a session on it, and what can be done with both."""

    def __init__(self, database: Database, mode: Any) -> None:
        self.connection = database.engine.connect()
        self.session = Session(self.connection, join_transaction_mode=mode)
        self.savepoints: list[SessionTransaction] = []
        self.numbers = itertools.count(1)
        self.refused: set[int] = set()

    def step(self, name: str) -> None:
        match name:
            case "write and record" | "record and write":
                self.record(written_first=name.startswith("write"))
            case "begin a savepoint":
                self.savepoints.append(self.session.begin_nested())
            case "release a savepoint" | "undo a savepoint" if self.savepoints:
                savepoint = self.savepoints.pop()
                savepoint.commit() if name.startswith("release") else savepoint.rollback()
            case "flush" | "session.commit" | "session.rollback" | "session.close":
                getattr(self.session, name.rpartition(".")[2])()
            case "begin" | "commit" | "rollback":
                getattr(self.connection, name)()

    def record(self, *, written_first: bool) -> None:
        number = next(self.numbers)
        row = [{"name": number}]
        if written_first:
            self.session.execute(insert(witness), row)
        try:
            record(self.session, NewEvent("E", number))
        except EventStoreError:
            self.refused.add(number)
            raise
        if not written_first:
            self.session.execute(insert(witness), row)


STEPS = [
    "write and record",
    "record and write",
    "flush",
    "session.commit",
    "session.rollback",
    "session.close",
    "begin a savepoint",
    "release a savepoint",
    "undo a savepoint",
    "begin",
    "commit",
    "rollback",
]


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.close()


@pytest.mark.timeout(120 + PROGRAMS)
@settings(max_examples=PROGRAMS, deadline=None)
@given(mode=st.sampled_from(MODES), steps=st.lists(st.sampled_from(STEPS), max_size=14))
def test_an_event_goes_the_way_of_what_the_session_wrote_or_somebody_is_told(
    database: Database, mode: str, steps: list[str]
) -> None:
    database.empty()
    warned = Warned()
    log = logging.getLogger("tidings.sql")
    log.addHandler(warned)
    program = Program(database, mode)
    try:
        for step in steps:
            with warnings.catch_warnings(), suppress(SQLAlchemyError, EventStoreError):
                warnings.simplefilter("ignore", SAWarning)  # of what should rather not be done
                try:
                    program.step(step)
                except AssertionError as error:
                    if not is_of_sqlalchemy(error):
                        raise
                    return
            if warned.said:
                return
            stored, beside = database.both()
            assert stored == [each for each in beside if each not in program.refused]
    finally:
        log.removeHandler(warned)
        program.connection.invalidate()
        program.connection.close()
