"""A database in which a table of the application is a witness of what was recorded."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.orm import registry

from tests.sql.databases import application_engine, event_store
from tidings.sql.tables import event as events_table

metadata = MetaData()
witness = Table(
    "witness", metadata, Column("n", Integer, primary_key=True), Column("name", Integer)
)
orders = Table("orders", metadata, Column("id", Integer, primary_key=True))


class Order:
    """The application's aggregate."""

    def __init__(self, order_id: int) -> None:
        self.id = order_id


mapper = registry()
mapper.map_imperatively(Order, orders)


class Database:
    """One database for all programs: making one for each would take most of the time."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name) / 'events.db'}"
        store = event_store(url)
        store.create()
        store.close()
        self.engine: Engine = application_engine(url)
        self.opened: list[Any] = []
        event.listen(self.engine, "connect", lambda opened, _: self.opened.append(opened))
        metadata.create_all(self.engine)
        self.reader: Connection = create_engine(url, isolation_level="AUTOCOMMIT").connect()

    def empty(self) -> None:
        # A hook that raises in the middle of a close leaves its connection open.
        for connection in self.opened:
            connection.close()
        self.opened.clear()
        with self.engine.begin() as connection:
            for table in (events_table, witness, orders):
                connection.execute(table.delete())
            connection.execute(insert(orders).values(id=0))

    def close(self) -> None:
        self.reader.close()
        self.reader.engine.dispose()
        self.engine.dispose()
        self.folder.cleanup()

    def both(self) -> tuple[list[int], list[int]]:
        stored = self.reader.scalars(select(events_table.c.body).order_by(events_table.c.event_id))
        beside = self.reader.scalars(select(witness.c.name).order_by(witness.c.n))
        return [int(body) for body in stored], list(beside)


def is_of_sqlalchemy(error: AssertionError) -> bool:
    """Return whether SQLAlchemy itself gives up: its savepoints are astray after a hook failed."""
    *_, last = traceback.walk_tb(error.__traceback__)
    return str(last[0].f_globals["__name__"]).startswith("sqlalchemy.")
