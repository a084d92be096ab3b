"""The transactional outbox: messages wait in a table of their own until they are dispatched."""

from __future__ import annotations

from tidings.sql.outbox.dispatcher import (
    MessageInOutbox,
    OutboxMessageDispatcher,
    OutboxMessageSerializer,
)
from tidings.sql.outbox.source import drained_table, outbox_event_store, outbox_tracker
from tidings.sql.outbox.table import outbox_table
from tidings.sql.settings import Layout, OutboxSettings

__all__ = [
    "Layout",
    "MessageInOutbox",
    "OutboxMessageDispatcher",
    "OutboxMessageSerializer",
    "OutboxSettings",
    "drained_table",
    "outbox_event_store",
    "outbox_table",
    "outbox_tracker",
]
