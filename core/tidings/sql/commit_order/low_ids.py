"""PostgreSQL: events that were committed under ids which exchanges have passed already.

A sequence that was set back (by a restore without its sequences, by hand, on a copy) gives low ids
out again. Events that got one stand below every position, and would never be sent. Setting the
sequence right is not enough for them: they need ids that are new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from tidings.sql.commit_order.pruned_ids import ids_given_again
from tidings.sql.tables import quoted_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from tidings.sql.event_log import EventLog

MOST_NAMED = 20
"""How many ids a sentence has room for."""

_NEWEST = 100
"""The rows that show when the sequence was set back: one may have been changed since, or two."""


def low_ids(connection: Connection, event_log: EventLog, last: int) -> list[int]:
    """Return the ids up to ``last``, the sequence's, that were written after those above it.

    And those that had been pruned. An older row that was changed since looks as if it were one. In
    an outbox a mark is such a change, also of the rows above. But there, what waits below a row
    that was dispatched has a low id for certain.
    """
    table, column = event_log.table, event_log.table.c.event_id.name
    quoted = quoted_name(table)
    newest = f"SELECT xmin FROM {quoted} WHERE {column} > :last ORDER BY {column} DESC"  # noqa: S608 - our own names
    low = (
        f'age("{table.name}".xmin) < (SELECT percentile_disc(0.5) WITHIN GROUP '  # noqa: S608 - as above
        f"(ORDER BY age(above.xmin) DESC) FROM ({newest} LIMIT {_NEWEST}) above)"
    )
    if event_log.pending is not None:
        waits = event_log.pending.compile(connection)
        dispatched = f"SELECT max({column}) FROM {quoted} WHERE NOT ({waits})"  # noqa: S608 - as above
        low = f"{waits} AND ({low} OR {column} < ({dispatched}))"
    found = connection.execute(
        text(
            f"SELECT {column} FROM {quoted} WHERE {column} <= :last AND {low} ORDER BY {column}"  # noqa: S608 - as above
        ),
        {"last": last},
    )
    _, again = ids_given_again(connection, event_log)
    return sorted({*found.scalars(), *again})


def renumber(connection: Connection, event_log: EventLog, sequence: str) -> list[int]:
    """Set a low sequence right, and give events with low ids new ones, in their order.

    Return the ids that they had. In the transaction that runs on ``connection``; writers wait for
    its end, so that none draws a low id in between.
    """
    name, column = quoted_name(event_log.table), event_log.table.c.event_id.name
    connection.execute(text(f"LOCK TABLE {name} IN EXCLUSIVE MODE"))
    newest, last = connection.execute(
        text(f"SELECT (SELECT max({column}) FROM {name}), last_value FROM {sequence}")  # noqa: S608 - our own names
    ).one()
    if newest is None:
        return []
    if last < newest:
        ids = low_ids(connection, event_log, last)
        right = {"name": sequence, "newest": newest}
        connection.execute(text("SELECT setval(:name, :newest)"), right)
    else:
        _, ids = ids_given_again(connection, event_log)
    others = ", ".join(each.name for each in event_log.table.columns if each.name != column)
    connection.execute(
        text(
            f"WITH moved AS (DELETE FROM {name} WHERE {column} = ANY(:ids) RETURNING *) "  # noqa: S608 - our own names
            f"INSERT INTO {name} ({others}) SELECT {others} FROM moved ORDER BY {column}"
        ),
        {"ids": ids},
    )
    return ids


def named(ids: Sequence[int]) -> str:
    """Return ids for a sentence: of many, the first."""
    return ", ".join(map(str, ids[:MOST_NAMED])) + (", …" if len(ids) > MOST_NAMED else "")
