"""What PostgreSQL must be for its lock table to decide about gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from tidings.errors import UnsafeStoreError
from tidings.sql.commit_order.known_servers import refuse_relative
from tidings.sql.commit_order.low_ids import low_ids, named
from tidings.sql.commit_order.pruned_ids import ids_given_again
from tidings.sql.tables import quoted_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.sql.event_log import EventLog

# A column's sequence belongs to it (identity, serial) or stands in its default. Each is a look into
# an index of pg_depend, which may be long.
_SEQUENCES = text(
    """
    WITH the_column AS (
        SELECT attrelid, attnum FROM pg_attribute
        WHERE attrelid = CAST(:log AS regclass) AND attname = :column
    ), sequences AS (
        SELECT d.objid AS oid FROM the_column c JOIN pg_depend d
          ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.attrelid
             AND d.refobjsubid = c.attnum AND d.classid = 'pg_class'::regclass
        UNION
        SELECT d.refobjid FROM the_column c
        JOIN pg_attrdef f ON f.adrelid = c.attrelid AND f.adnum = c.attnum
        JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
             AND d.refclassid = 'pg_class'::regclass
    )
    SELECT CAST(s.seqrelid AS regclass)::text, s.seqcache, s.seqincrement, s.seqcycle
    FROM pg_sequence s WHERE s.seqrelid IN (SELECT oid FROM sequences)
    """
)

TABLES = """
    WITH RECURSIVE family AS (
        SELECT CAST(to_regclass(:log) AS oid) AS relid
        UNION SELECT i.inhrelid FROM family f JOIN pg_inherits i ON i.inhparent = f.relid
    )
    SELECT relid FROM family
"""
"""The table of events, its partitions, and what inherits from it: their rows are its rows, too."""

# By the view: PostgreSQL 13 shows the ids of pg_subscription itself to superusers alone.
_SUBSCRIPTION = text(
    f"""
    SELECT s.subname FROM pg_subscription_rel r JOIN pg_stat_subscription s ON s.subid = r.srsubid
    WHERE r.srrelid IN ({TABLES})
    ORDER BY s.subname LIMIT 1
    """  # noqa: S608 - a constant of ours
)


def refuse_standby(connection: Connection) -> None:
    """Refuse a standby: the locks of the primary's transactions cannot be seen there.

    Refuse as well what only speaks PostgreSQL's protocol.
    """
    standby, version = connection.execute(text("SELECT pg_is_in_recovery(), version()")).one()
    refuse_relative(version, "PostgreSQL")
    if standby:
        raise UnsafeStoreError(
            "This PostgreSQL is a standby: there it cannot be seen which transactions may still "
            "commit an event. Let the relay read the primary."
        )


def check_sequence(connection: Connection, event_log: EventLog) -> str:
    """Refuse ids that are not drawn one by one, ascending, above all that were given out.

    Return the sequence's name.
    """
    name = sequence_of(connection, event_log)
    refuse_low_sequence(connection, event_log, name)
    return name


def sequence_of(connection: Connection, event_log: EventLog) -> str:
    """Return the name of the sequence of the ids; refuse one that does not give them in order."""
    column = event_log.table.c.event_id
    sequences = connection.execute(
        _SEQUENCES, {"log": quoted_name(event_log.table), "column": column.name}
    ).all()
    if len(sequences) != 1:
        raise UnsafeStoreError(
            f"{column} draws its ids from {len(sequences)} sequences; it must be one, as "
            "an identity column or a default has it (`tidings schema` shows it)."
        )
    name, cache, increment, cycles = sequences[0]
    refuse_cache(name, cache)
    refuse_descent(name, increment, cycles=cycles)
    return str(name)


def refuse_cache(name: str, cache: int) -> None:
    """Refuse a sequence that gives each connection several ids at a time."""
    if cache > 1:
        raise UnsafeStoreError(
            f"The sequence {name} hands out {cache} ids at a time to each connection (CACHE "
            f"{cache}). So a later event may get a lower id. Run ALTER SEQUENCE {name} CACHE 1, "
            "and let the writers connect anew."
        )


def refuse_descent(name: str, increment: int, *, cycles: bool) -> None:
    """Refuse a sequence whose next id may be lower than the last one."""
    if increment < 1 or cycles:
        raise UnsafeStoreError(
            f"The sequence {name} does not only rise: ALTER SEQUENCE {name} INCREMENT 1 NO CYCLE."
        )


def refuse_low_sequence(connection: Connection, event_log: EventLog, name: str) -> None:
    """Refuse a sequence that will give ids out again."""
    column = event_log.table.c.event_id
    # The sequence is read as it is now, after the snapshot of the rows: never below a row's id.
    table = quoted_name(event_log.table)
    newest, last = connection.execute(
        text(f"SELECT (SELECT max({column.name}) FROM {table}), last_value FROM {name}")  # noqa: S608 - quoted by regclass
    ).one()
    if newest is not None and last < newest:
        low = low_ids(connection, event_log, last)
        meanwhile = (
            f"{len(low)} event(s) were committed under such ids meanwhile: {named(low)}. "
            if low
            else ""
        )
        raise UnsafeStoreError(
            f"The sequence {name} stands at {last}, below the newest event {newest}: it gives ids "
            f"out again that exchanges have passed. {meanwhile}Run `tidings renumber`, which "
            "sets the sequence right and gives events with such ids new ones, so that they go out; "
            "setval alone would leave them behind for ever."
        )


def refuse_pruned(connection: Connection, event_log: EventLog) -> None:
    """Refuse events with ids that were given out again after others had been pruned."""
    pruned_to, again = ids_given_again(connection, event_log)
    if again:
        raise UnsafeStoreError(
            f"{len(again)} event(s) of {event_log.table.name!r} were committed under ids up to "
            f"{pruned_to} that were pruned, which exchanges have passed: {named(again)}. Run "
            "`tidings renumber`, which gives them new ids, so that they go out. The sequence of "
            "the ids was set back, as a restore without its sequences does."
        )


def subscription_to(connection: Connection, event_log: EventLog) -> str | None:
    """Return the logical subscription that writes to the table of events, if any."""
    name: str | None = connection.execute(
        _SUBSCRIPTION, {"log": quoted_name(event_log.table)}
    ).scalar_one_or_none()
    return name


def refuse_replica(connection: Connection, event_log: EventLog) -> None:
    """Refuse a standby, and a logical replica, where commits come in another order than ids."""
    refuse_standby(connection)
    name = subscription_to(connection, event_log)
    if name is not None:
        raise UnsafeStoreError(
            f"The table {event_log.table.name!r} is filled by the subscription {name!r}: this "
            "PostgreSQL is a logical replica. A replica applies transactions in the order of their "
            "commits: a lower id may appear long after a higher one. Let the relay read the "
            "primary. If this is the primary now, DROP SUBSCRIPTION first."
        )
