"""The tables, as SQLAlchemy Core describes them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Identity,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    UniqueConstraint,
)

from tidings.sql.types import MYSQL, BigId, LongText, Name, UtcDateTime

SCHEMA_VERSION = 1
"""The number of the tables' shape; grows when ``metadata`` changes."""

metadata = MetaData()
"""Every table of tidings: give it to Alembic's ``target_metadata`` beside your own."""

IN_UTF8: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in MYSQL
    for option, value in {
        "engine": "InnoDB",
        "charset": "utf8mb4",
        "collate": "utf8mb4_bin",
    }.items()
}
"""Options of a table whose texts are compared as they are, on MySQL too."""

event = Table(
    "event",
    metadata,
    # ALWAYS: an id that somebody drew beforehand would defeat the order of the store.
    Column("event_id", BigId, Identity(always=True), primary_key=True),
    Column("type_name", Name, nullable=False),
    Column("body", LongText, nullable=False),
    Column("occurred_on", UtcDateTime, nullable=False),
    Column("aggregate_id", Name),
    Column("metadata", LongText),
    # Without it, SQLite gives the ids of pruned rows out again.
    sqlite_autoincrement=True,
    comment="Domain events, in the order in which they count",
    **IN_UTF8,
)

event_published_message_tracker = Table(
    "event_published_message_tracker",
    metadata,
    Column("tracker_id", Integer, primary_key=True),
    Column("most_recent_published_message_id", BigInteger, nullable=False, server_default="0"),
    Column("type_name", Name, nullable=False, comment="The exchange's name"),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("fingerprint", Name, comment="What tells the event at this position from another"),
    Column("lease_owner", Name),
    Column("lease_epoch", BigInteger, nullable=False, server_default="0"),
    Column(
        "lease_expires",
        Double,
        nullable=False,
        server_default="0",
        comment="Seconds since 1970, by the database's clock",
    ),
    Column("stopped_by_event", BigInteger, comment="The event that can never be sent as it is"),
    Column("stopped_reason", LongText),
    Column("stopped_on", UtcDateTime),
    UniqueConstraint("type_name", name="uq_event_published_message_tracker_type_name"),
    comment="How far each exchange has got, and who relays it",
    **IN_UTF8,
)

quarantined_event = Table(
    "quarantined_event",
    metadata,
    Column("exchange_name", Name, primary_key=True),
    Column("event_id", BigInteger, primary_key=True, autoincrement=False),
    Column("type_name", Name, nullable=False),
    Column("reason", LongText, nullable=False),
    Column("quarantined_on", UtcDateTime, nullable=False),
    Column("retry_asked", SmallInteger, nullable=False, server_default="0"),
    comment="Events that an exchange has passed without sending them",
    **IN_UTF8,
)

event_append_lock = Table(
    "event_append_lock",
    metadata,
    Column("lock_id", Integer, primary_key=True, autoincrement=False),
    comment="Its one row is locked from an append to the end of the transaction",
    info={"dialects": MYSQL},
    **IN_UTF8,
)

tidings_schema = Table(
    "tidings_schema",
    metadata,
    Column("schema_id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    comment="Which tidings made these tables",
    **IN_UTF8,
)


def tables_for(dialect_name: str) -> list[Table]:
    """Return the tables that a database of this kind needs, in the order of their creation."""
    return [
        table
        for table in metadata.sorted_tables
        if dialect_name in table.info.get("dialects", (dialect_name,))
    ]


def wake_up_channel(table: Table) -> str:
    """Return where PostgreSQL's trigger says that there are new rows in a table of events."""
    return f"tidings_{table.name}"


def wake_up_statements(table: Table) -> tuple[str, str]:
    """Return what makes PostgreSQL say so at every commit that inserted rows."""
    function = (
        "CREATE OR REPLACE FUNCTION tidings_wake_up() RETURNS trigger LANGUAGE plpgsql AS\n"
        "    $$BEGIN PERFORM pg_catalog.pg_notify('tidings_' || TG_TABLE_NAME, ''); "
        "RETURN NULL; END$$"
    )
    trigger = (
        f'CREATE TRIGGER tidings_wake_up AFTER INSERT ON "{table.name}"\n'
        "    FOR EACH STATEMENT EXECUTE FUNCTION tidings_wake_up()"
    )
    return function, trigger
