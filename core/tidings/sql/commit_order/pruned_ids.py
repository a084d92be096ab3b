"""PostgreSQL: events that were committed under the ids of others that had been pruned.

A sequence that was set back gives those ids out without any collision. Once it has run past the
newest event, it looks as it should, and the new events stand below every position. Only a memory of
what was pruned shows them. It counts as long as the event is there that was the newest then. If
that one is gone, or is another, the table was emptied or exchanged, which positions show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, literal, select

from tidings.sql.tables import pruned_event

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from tidings.sql.event_log import EventLog


def remember_pruned(connection: Connection, event_log: EventLog, up_to: int) -> None:
    """Note that events up to that id were deleted, in the transaction that deletes them.

    What stays among them is older than the note, and so the note ends before the first of it.
    """
    from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415 - slow; others do without

    event = event_log.table
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


def ids_given_again(connection: Connection, event_log: EventLog) -> tuple[int, list[int]]:
    """Return up to which id events were pruned, and the ids up to there that are there again.

    One look into the primary key, if there are none.
    """
    # In two statements. Of a join the planner takes a third of all events for what is found. Then
    # it compiles the statement, which takes longer than anything else here.
    pruned_to = connection.execute(_pruned_to(event_log)).scalar_one_or_none()
    if pruned_to is None:
        return 0, []
    event_id = event_log.table.c.event_id
    again = select(event_id).where(event_id <= pruned_to).order_by(event_id)
    return pruned_to, list(connection.execute(again).scalars())


def _pruned_to(event_log: EventLog) -> Select[int]:
    """Return what asks for the note, if it still counts."""
    event = event_log.table
    kept = select(event.c.event_id).where(
        event.c.event_id == pruned_event.c.kept_id, event.c.occurred_on == pruned_event.c.kept_on
    )
    return select(pruned_event.c.pruned_to).where(
        pruned_event.c.table_name == event.name, kept.exists()
    )
