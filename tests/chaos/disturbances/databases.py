"""A database that goes away, or takes nothing, while positions are tracked in it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.chaos.databases import PostgreSQLDatabase, SmallDisk
from tests.chaos.disturbances.disturbance import Disturbance

if TYPE_CHECKING:
    from tests.chaos.stage import Stage


def kill_database(stage: Stage) -> None:
    """Kill -9 PostgreSQL at a random moment; start it again."""
    stage.relay()
    database = _postgresql(stage)
    database.server.kill()
    database.server.restart()
    stage.recovers()


def cut_database(stage: Stage) -> None:
    """Cut the relay's connections to the database with a reset."""
    stage.relay()
    _postgresql(stage).proxy.cut()
    stage.recovers()


def freeze_database(stage: Stage) -> None:
    """Let nothing through to the database and back, for longer than the lease."""
    stage.relay()
    _postgresql(stage).proxy.freeze()
    time.sleep(6)  # the disturbance itself
    _postgresql(stage).proxy.thaw()
    stage.recovers()


def make_database_read_only(stage: Stage) -> None:
    """Let the database refuse to write for longer than the lease."""
    stage.relay()
    database = _postgresql(stage)
    database.set_read_only(True)
    time.sleep(6)  # the disturbance itself
    database.set_read_only(False)
    stage.recovers()


def fill_database(stage: Stage) -> None:
    """Fill the disk that the database is on, for longer than the lease."""
    assert isinstance(stage.database, SmallDisk)
    stage.relay()
    stage.load()
    with stage.database.full():
        time.sleep(6)  # the disturbance itself
        assert "full" in stage.log_end(), stage.log_end()
    stage.load()
    stage.recovers()


def _postgresql(stage: Stage) -> PostgreSQLDatabase:
    assert isinstance(stage.database, PostgreSQLDatabase)
    return stage.database


DISTURBANCES = (
    Disturbance("kill database", kill_database, database=PostgreSQLDatabase, crashes=1),
    Disturbance("cut database", cut_database, database=PostgreSQLDatabase, crashes=1),
    Disturbance("freeze database", freeze_database, database=PostgreSQLDatabase, crashes=1),
    Disturbance(
        "read-only database", make_database_read_only, database=PostgreSQLDatabase, crashes=1
    ),
    Disturbance("full database", fill_database, database=SmallDisk, crashes=1),
)
