"""Event store, tracker, recording, outbox and inbox on SQLAlchemy.

For applications: :func:`record`, :func:`record_from`, and :data:`metadata` for migrations. For
consumers: :class:`Inbox`, and :data:`inbox_metadata`. All come when asked for: reading a
configuration should not have to wait for SQLAlchemy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidings.sql.event_store import SqlAlchemyEventStore
    from tidings.sql.inbox import Inbox, inbox_metadata
    from tidings.sql.recording import record, record_from
    from tidings.sql.retention import Pruned, prune
    from tidings.sql.schema import ddl
    from tidings.sql.settings import SqlAlchemySettings
    from tidings.sql.tables import metadata
    from tidings.sql.tracker import SqlAlchemyPublishedMessageTracker

_HOMES = {
    "Inbox": "inbox",
    "Pruned": "retention",
    "SqlAlchemyEventStore": "event_store",
    "SqlAlchemyPublishedMessageTracker": "tracker",
    "SqlAlchemySettings": "settings",
    "ddl": "schema",
    "inbox_metadata": "inbox",
    "metadata": "tables",
    "prune": "retention",
    "record": "recording",
    "record_from": "recording",
}

__all__ = [
    "Inbox",
    "Pruned",
    "SqlAlchemyEventStore",
    "SqlAlchemyPublishedMessageTracker",
    "SqlAlchemySettings",
    "ddl",
    "inbox_metadata",
    "metadata",
    "prune",
    "record",
    "record_from",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"tidings.sql.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
