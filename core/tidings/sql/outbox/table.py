"""The outbox table, under any name, in our words or in those that Debezium reads."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Column, Identity, Index, MetaData, Table
from sqlalchemy.sql.schema import RETAIN_SCHEMA

from tidings.sql.event_log import EventLog
from tidings.sql.names import check_name
from tidings.sql.plain_tables import with_plain_types
from tidings.sql.settings import Layout
from tidings.sql.tables import IN_UTF8
from tidings.sql.types import BigId, RecordedName, RecordedText, UtcDateTime

_DEBEZIUM_NAMES = {
    "event_id": "id",
    "type_name": "type",
    "body": "payload",
    "aggregate_id": "aggregateid",
    "aggregate_type": "aggregatetype",
}


def outbox_table(
    name: str = "outbox", layout: Layout = Layout.TIDINGS, metadata: MetaData | None = None
) -> Table:
    """Return the table as SQLAlchemy Core describes it; in your ``metadata``, for migrations.

    Its columns have the same keys in either layout. Raises ``ValueError`` for a name that would
    have to be quoted.
    """
    check_name(name)
    names = _DEBEZIUM_NAMES if layout is Layout.DEBEZIUM else {}

    def called(key: str) -> str:
        return names.get(key, key)

    table = Table(
        name,
        MetaData(),
        Column(called("event_id"), BigId, Identity(always=True), key="event_id", primary_key=True),
        Column(called("type_name"), RecordedName, key="type_name", nullable=False),
        Column(called("body"), RecordedText, key="body", nullable=False),
        Column("occurred_on", UtcDateTime, nullable=False),
        Column(called("aggregate_id"), RecordedName, key="aggregate_id"),
        Column(called("aggregate_type"), RecordedName, key="aggregate_type"),
        Column("metadata", RecordedText),
        Column("dispatched_on", UtcDateTime),
        Index(f"ix_{name}_dispatch", "dispatched_on", "event_id"),
        sqlite_autoincrement=True,
        comment="Messages that wait to be dispatched",
        **IN_UTF8,
    )
    return table if metadata is None else with_plain_types(table, metadata)


@cache
def outbox_log(name: str, layout: Layout, schema: str | None = None) -> EventLog:
    """Return the statements for the outbox of that name; still to be given: not dispatched."""
    table = outbox_table(name, layout).to_metadata(MetaData(), schema=schema or RETAIN_SCHEMA)
    return EventLog(table, table.c.dispatched_on.is_(None))
