"""Event store, tracker, recording, outbox and inbox on SQLAlchemy.

For applications: :func:`record`, :func:`record_from`, and :data:`metadata` for migrations. For
consumers: :class:`Inbox`, and :data:`inbox_metadata`. All come when asked for: reading a
configuration should not have to wait for SQLAlchemy.

========================= =========================================================================
*For an application*
``recording``             records events in the application's own transaction
``recorded_event``        the application's event objects, as events that can be stored
``pending_events``        what is recorded on a session, until its transaction commits
``listening``             hears of every session's transactions
``savepoints``            which of a session's savepoints lies in which
``session_connections``   a session's connections, and what is done to them past the session
``append``                writes events, in the caller's transaction
``callers_transaction``   which connection that is, and whether it can be rolled back
``many_rows``             writes many rows in few statements, on MySQL and MariaDB
``plain_tables``          the tables, for ``create_all`` and Alembic
``alembic_rows``          the rows that they need, in Alembic's migrations
``inbox``                 what a consumer has handled, each message once
``outbox``                a folder: the transactional outbox, as a source of exchanges
*The event store*
``event_store``           keeps events, and gives them in the order in which they count
``event_log``             the statements that read and write a table of events
``reading``               reads events in batches, bounded in rows and bytes
``commit_order``          a folder: in which order commits count, and what a gap means
``probe``                 whether anything was committed, cheaper than a read
``wake_up``               PostgreSQL's NOTIFY at every commit with events
``retention``             deletes events
*The tracker*
``tracker``               positions, leases, and what else a relay keeps
``tracker_rows``          what it asks of its table, and what a row says
``lease_renewal``         renews many leases at once
``idle_relays``           relays that stand by, or cannot work
``pauses``                exchanges that somebody has paused
``quarantine``            events that an exchange has passed without sending them
``journal``               what happened to exchanges, and who did it
*The tables*
``tables``                the tables of event store and tracker
``inbox_table``           the table of the inbox
``types``                 column types that are the same on every database
``names``                 what tables and schemas may be called
``schema``                makes the tables, shows how, and checks them
``found_tables``          which tables a database has, and of which version
``migration``             from the tables of an older version to this one's
*The database*
``settings``              what the configuration says of it
``database_url``          what its URL says
``database``              connections to it, and its errors as ours
``few_connections``       many threads, and few connections
``driver``                what every connection begins with
``character_sets``        which characters PostgreSQL takes on a connection
``failures``              what databases say, as our errors
========================= =========================================================================
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
