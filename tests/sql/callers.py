"""Everything that writes in a caller's transaction, and the tables that it writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Delete, Integer, MetaData, Table, Update, text
from sqlalchemy.orm import Session, registry
from typing_extensions import override

from tidings import Inbox, NewEvent, record
from tidings.sql.outbox import OutboxMessageDispatcher, outbox_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tidings.sql.event_store import SqlAlchemyEventStore

EVENT = NewEvent("A", {})
outbox = outbox_table()


class Order:
    """The application's aggregate."""


orders = Table("orders", MetaData(), Column("id", Integer, primary_key=True))
registry().map_imperatively(Order, orders)


def tables(engine: Engine) -> Engine:
    """Make what `event_store` does not make."""
    outbox.create(engine)
    orders.create(engine)
    Inbox.create(engine)
    return engine


def counted(engine: Engine, *names: str) -> dict[str, int]:
    """Return how many rows are committed in our tables, and in those others."""
    with engine.connect() as connection:
        return {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in ("event", "outbox", "inbox", *names)
        }


def by_record(target: Any, _store: SqlAlchemyEventStore) -> None:
    """Write to ``event``, at the commit if ``target`` is a session."""
    record(target, EVENT)


def by_append(target: Any, store: SqlAlchemyEventStore) -> None:
    """Write to ``event``."""
    store.append(target, EVENT)


def by_dispatcher(target: Any, _store: SqlAlchemyEventStore) -> None:
    """Write to ``outbox``."""
    OutboxMessageDispatcher(target).dispatch(EVENT)


def by_inbox(target: Any, _store: SqlAlchemyEventStore) -> None:
    """Write to ``inbox``."""
    Inbox("billing", "orders").record(target, "7")


WRITERS: list[Callable[[Any, SqlAlchemyEventStore], None]] = [
    by_record,
    by_append,
    by_dispatcher,
    by_inbox,
]


def reading_from(follower: Engine, leader: Engine) -> type[Session]:
    """Return a class of sessions that write to ``leader``, as SQLAlchemy's page shows it."""

    class RoutingSession(Session):
        """Asks the follower whatever is not known to write."""

        @override
        def get_bind(self, mapper: Any = None, clause: Any = None, **_: Any) -> Any:
            writes = self._flushing or isinstance(clause, Update | Delete)
            return leader if writes else follower

    return RoutingSession
