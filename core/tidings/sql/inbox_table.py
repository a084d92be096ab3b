"""The table of what consumers have handled."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, MetaData, String, Table

from tidings.sql.tables import IN_UTF8
from tidings.sql.types import ExactText, UtcDateTime

MAX_NAME: Final = 127
MAX_MESSAGE_ID: Final = 255

inbox_metadata = MetaData()
"""The inbox's table."""

inbox = Table(
    "inbox",
    inbox_metadata,
    Column("consumer", String(MAX_NAME), primary_key=True),
    Column("exchange_name", String(MAX_NAME), primary_key=True),
    Column("message_id", ExactText(MAX_MESSAGE_ID), primary_key=True),
    Column("handled_on", UtcDateTime, nullable=False),
    # Deleting old ones walks along it.
    Index("ix_inbox_handled_on", "consumer", "exchange_name", "handled_on"),
    comment="Which messages each consumer has handled",
    **IN_UTF8,
)
