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

from tidings.sql.types import (
    MYSQL,
    BigId,
    LongText,
    Name,
    NewIdentity,
    RecordedName,
    RecordedText,
    UtcDateTime,
)

SCHEMA_VERSION = 2
"""The number of the tables' shape; grows when ``metadata`` changes."""

metadata = MetaData()
"""Every table of tidings."""

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
    Column("type_name", RecordedName, nullable=False),
    Column("body", RecordedText, nullable=False),
    Column("occurred_on", UtcDateTime, nullable=False),
    Column("aggregate_id", RecordedName),
    Column("metadata", RecordedText),
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
    Column("paused_on", UtcDateTime, comment="Set: no relay carries the exchange"),
    Column("paused_by", Name),
    Column("paused_reason", LongText),
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

idle_relay = Table(
    "idle_relay",
    metadata,
    Column("exchange_name", Name, primary_key=True),
    Column("owner", Name, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("reason", LongText, comment="Why it cannot work; none: it stands by"),
    Column("next_try", UtcDateTime),
    Column("expires", Double, nullable=False, comment="As in event_published_message_tracker"),
    comment="Relays that run, and do not carry an exchange just now",
    **IN_UTF8,
)

relay_journal = Table(
    "relay_journal",
    metadata,
    Column("entry_id", BigId, Identity(always=True), primary_key=True),
    Column("exchange_name", Name, nullable=False, comment="Empty: all of them"),
    Column("what", Name, nullable=False),
    Column("who", Name, nullable=False),
    Column("detail", LongText),
    Column("noted_on", UtcDateTime, nullable=False),
    Column(
        "repeated", Integer, nullable=False, server_default="0", comment="How many were left out"
    ),
    # Nothing depends on it: a relay works if it is not there.
    info={"optional": True},
    comment="What happened to exchanges, and who did it",
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

pruned_event = Table(
    "pruned_event",
    metadata,
    Column("table_name", Name, primary_key=True, comment="Of the events"),
    Column("pruned_to", BigInteger, nullable=False, comment="None is left up to this id"),
    Column("kept_id", BigInteger, nullable=False, comment="The newest event, which stayed"),
    Column("kept_on", UtcDateTime, nullable=False, comment="When that one occurred"),
    comment="Up to where events were deleted: no new one may have such an id",
    info={"dialects": ("postgresql",)},
)

tidings_schema = Table(
    "tidings_schema",
    metadata,
    Column("schema_id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column(
        "store",
        Name,
        nullable=False,
        server_default="",
        comment="What tells this event store from every other one",
    ),
    comment="Which tidings made these tables",
    **IN_UTF8,
)


FIRST_ROWS: dict[str, dict[str, Any]] = {
    tidings_schema.name: {"schema_id": 1, "version": SCHEMA_VERSION, "store": NewIdentity()},
    event_append_lock.name: {"lock_id": 1},
}
"""The row that a table begins with, by the table's name."""


def tables_for(dialect_name: str) -> list[Table]:
    """Return what a database of this kind needs beside a table of events, in order."""
    return [
        table
        for table in metadata.sorted_tables
        if table is not event and dialect_name in table.info.get("dialects", (dialect_name,))
    ]


def quoted_name(table: Table) -> str:
    """Return the table's name as PostgreSQL reads it, with its schema if that is said."""
    return f'{_quoted_schema(table)}"{table.name}"'


def _quoted_schema(table: Table) -> str:
    return f'"{table.schema}".' if table.schema else ""


def wake_up_channel(table: Table) -> str:
    """Return where PostgreSQL's trigger says that there are new rows in a table of events."""
    return f"tidings_{table.name}"


def wake_up_statements(table: Table) -> tuple[str, str]:
    """Return what makes PostgreSQL say so at every commit that inserted rows."""
    name = f"{_quoted_schema(table)}tidings_wake_up()"
    function = (
        f"CREATE OR REPLACE FUNCTION {name} RETURNS trigger LANGUAGE plpgsql AS\n"
        "    $$BEGIN PERFORM pg_catalog.pg_notify('tidings_' || TG_TABLE_NAME, ''); "
        "RETURN NULL; END$$"
    )
    trigger = (
        f"CREATE TRIGGER tidings_wake_up AFTER INSERT ON {quoted_name(table)}\n"
        f"    FOR EACH STATEMENT EXECUTE FUNCTION {name}"
    )
    return function, trigger
