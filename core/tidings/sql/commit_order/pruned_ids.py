"""PostgreSQL: events that were committed under the ids of others that had been pruned.

A sequence that was set back gives those ids out without any collision. Once it has run past the
newest event, it looks as it should, and the new events stand below every position: only a memory
of what was pruned shows them. It counts as long as the event is there that was the newest then.
If that one is gone, or is another, the table was emptied or exchanged, which positions show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert

from tidings.sql.tables import pruned_event

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.sql.event_log import EventLog


def remember_pruned(connection: Connection, log: EventLog, up_to: int) -> None:
    """Note that events up to that id were deleted, in the transaction that deletes them.

    What stays among them is older than the note, and so the note ends before the first of it.
    """
    event = log.table
    oldest = select(func.min(event.c.event_id)).scalar_subquery()
    newest = select(func.max(event.c.event_id)).scalar_subquery()
    pruned_to = func.least(up_to, oldest - 1)
    note = insert(pruned_event).from_select(
        ["table_name", "pruned_to", "kept_id", "kept_on"],
        select(literal(event.name), pruned_to, event.c.event_id, event.c.occurred_on).where(
            event.c.event_id == newest
        ),
    )
    others = [column.name for column in pruned_event.columns if not column.primary_key]
    connection.execute(
        note.on_conflict_do_update(
            index_elements=[pruned_event.c.table_name],
            set_={name: note.excluded[name] for name in others},
        )
    )


def ids_given_again(connection: Connection, log: EventLog) -> tuple[int, list[int]]:
    """Return up to which id events were pruned, and the ids up to there that are there again.

    One look into the primary key, if there are none.
    """
    event, kept = log.table, log.table.alias()
    found = connection.execute(
        select(pruned_event.c.pruned_to, event.c.event_id)
        .join_from(pruned_event, event, event.c.event_id <= pruned_event.c.pruned_to)
        .where(
            pruned_event.c.table_name == event.name,
            select(kept.c.event_id)
            .where(
                kept.c.event_id == pruned_event.c.kept_id,
                kept.c.occurred_on == pruned_event.c.kept_on,
            )
            .exists(),
        )
        .order_by(event.c.event_id)
    ).all()
    return (found[0][0] if found else 0), [event_id for _, event_id in found]
