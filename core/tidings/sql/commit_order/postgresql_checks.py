"""What PostgreSQL must be for its lock table to settle gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from tidings.errors import UnsafeStoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.sql.event_log import EventLog

# A column's sequence belongs to it (identity, serial) or stands in its default.
_SEQUENCES = text(
    """
    SELECT DISTINCT CAST(s.seqrelid AS regclass)::text, s.seqcache, s.seqincrement, s.seqcycle
    FROM pg_attribute a
    LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
    JOIN pg_depend d
      ON (d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum)
      OR (d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
          AND d.refclassid = 'pg_class'::regclass)
    JOIN pg_sequence s ON s.seqrelid = d.objid OR s.seqrelid = d.refobjid
    WHERE a.attrelid = CAST(:log AS regclass) AND a.attname = :column
    """
)


def refuse_standby(connection: Connection) -> None:
    """Refuse a standby: the locks of the primary's transactions cannot be seen there."""
    if connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one():
        raise UnsafeStoreError(
            "This PostgreSQL is a standby, where it cannot be seen which transactions may still "
            "commit an event. Let the relay read the primary."
        )


def quoted_name(log: EventLog) -> str:
    """Return the table's name as ``regclass`` reads it."""
    return f'"{log.table.name}"'


def check_sequence(connection: Connection, log: EventLog) -> None:
    """Refuse ids that are not drawn one by one, ascending, above all that were given out."""
    column = log.table.c.event_id
    sequences = connection.execute(
        _SEQUENCES, {"log": quoted_name(log), "column": column.name}
    ).all()
    if len(sequences) != 1:
        raise UnsafeStoreError(
            f"{column} draws its ids from {len(sequences)} sequences; it must be one, as "
            "an identity column or a default has it (`tidings schema` shows it)."
        )
    name, cache, increment, cycles = sequences[0]
    if cache > 1:
        raise UnsafeStoreError(
            f"The sequence {name} hands out {cache} ids at a time to each connection (CACHE "
            f"{cache}), so that later events get lower ids: ALTER SEQUENCE {name} CACHE 1, and "
            "let the writers connect anew."
        )
    if increment < 1 or cycles:
        raise UnsafeStoreError(
            f"The sequence {name} does not only rise: ALTER SEQUENCE {name} INCREMENT 1 NO CYCLE."
        )
    # The sequence is read as it is now, after the snapshot of the rows: never below a row's id.
    newest, last = connection.execute(
        text(f"SELECT (SELECT max({column.name}) FROM {quoted_name(log)}), last_value FROM {name}")  # noqa: S608 - quoted by regclass
    ).one()
    if newest is not None and last < newest:
        raise UnsafeStoreError(
            f"The sequence {name} stands at {last}, below the newest event {newest}: it would "
            "give ids out again that the relay has passed. After a restore: "
            f"SELECT setval('{name}', {newest})."
        )
