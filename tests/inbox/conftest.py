"""A consumer's database, and the effect that its handler has there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, insert, select
from sqlalchemy.orm import Session

from tests.sql.databases import application_engine
from tidings import Inbox

if TYPE_CHECKING:
    from collections.abc import Iterator

metadata = MetaData()
effect = Table(
    "effect",
    metadata,
    Column("effect_id", Integer, primary_key=True),
    Column("message_id", String(255)),
)


class Consumer:
    """A handler that notes its effect in the transaction of the inbox."""

    def __init__(self, engine: Engine, inbox: Inbox) -> None:
        self.engine = engine
        self.inbox = inbox

    def deliver(self, message_id: str) -> bool:
        """Deliver a message as a broker would; tell whether it was handled."""
        with Session(self.engine) as session, session.begin():
            return self.handle(session, message_id)

    def handle(self, session: Session, message_id: str) -> bool:
        first = self.inbox.record(session, message_id)
        if first:
            session.execute(insert(effect).values(message_id=message_id))
        return first

    @property
    def effects(self) -> list[str]:
        with self.engine.connect() as connection:
            return list(
                connection.scalars(select(effect.c.message_id).order_by(effect.c.effect_id))
            )


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Give an engine for an empty database with the two tables, once of each kind."""
    engine = application_engine(database_url)
    metadata.create_all(engine)
    Inbox.create(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def consumer(engine: Engine) -> Consumer:
    return Consumer(engine, Inbox("billing", "orders"))
