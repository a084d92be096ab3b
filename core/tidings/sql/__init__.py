"""Event store, tracker, recording, outbox and inbox on SQLAlchemy.

For applications: :func:`record`, :func:`record_from`, and :data:`metadata` for migrations. For
consumers: :class:`Inbox`, and :data:`inbox_metadata`. All come when asked for: reading a
configuration should not have to wait for SQLAlchemy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidings.sql.alembic_rows import add_rows
    from tidings.sql.append import use_tables
    from tidings.sql.event_store import SqlAlchemyEventStore
    from tidings.sql.inbox import Inbox
    from tidings.sql.plain_tables import inbox_metadata, metadata, metadata_for
    from tidings.sql.recording import record, record_from
    from tidings.sql.schema import ddl
    from tidings.sql.settings import SqlAlchemySettings
    from tidings.sql.tracker import SqlAlchemyTracker

_HOMES = {
    "Inbox": "inbox",
    "SqlAlchemyEventStore": "event_store",
    "SqlAlchemyTracker": "tracker",
    "SqlAlchemySettings": "settings",
    "add_rows": "alembic_rows",
    "ddl": "schema",
    "inbox_metadata": "plain_tables",
    "metadata": "plain_tables",
    "metadata_for": "plain_tables",
    "record": "recording",
    "record_from": "recording",
    "use_tables": "append",
}

__all__ = [
    "Inbox",
    "SqlAlchemyEventStore",
    "SqlAlchemySettings",
    "SqlAlchemyTracker",
    "add_rows",
    "ddl",
    "inbox_metadata",
    "metadata",
    "metadata_for",
    "record",
    "record_from",
    "use_tables",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"tidings.sql.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
