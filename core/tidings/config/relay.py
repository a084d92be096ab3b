"""What a configuration file may say of relays."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from tidings.config.address import ListenAddress, address_of, check_address
from tidings.config.table import Strict
from tidings.defaults import JOURNAL_DAYS, JOURNAL_ENTRIES, LEASE_SECONDS, POLL_SECONDS

MOST_JOURNAL_ENTRIES = 1_000_000
"""That a journal may hold."""


class RelaySettings(Strict):
    """How relays work, on every exchange."""

    lease_seconds: float = Field(
        default=LEASE_SECONDS,
        ge=1,
        le=3600,
        description="How long a dead relay keeps those on other machines from taking over.",
    )
    poll_seconds: float = Field(
        default=POLL_SECONDS,
        ge=0.01,
        le=60,
        description="The longest delay between two looks for events while exchanges are idle, "
        "should the database not tell of a commit.",
    )
    http: Annotated[str, AfterValidator(check_address)] | None = Field(
        default=None,
        description="HOST:PORT where `tidings run` says how it is, over HTTP: 127.0.0.1:9464 for "
        "this machine alone. Without it: nowhere.",
    )
    stuck_seconds: float = Field(
        default=600,
        ge=1,
        description="How long an exchange's thread may take no step before it is taken for stuck.",
    )

    journal_entries: int = Field(
        default=JOURNAL_ENTRIES,
        ge=0,
        le=MOST_JOURNAL_ENTRIES,
        description="How many entries the journal keeps of what happened; 0: none are written.",
    )
    journal_days: float = Field(
        default=JOURNAL_DAYS,
        gt=0,
        le=36_500,
        description="How long the journal keeps an entry.",
    )

    @property
    def http_address(self) -> ListenAddress | None:
        """Where to say over HTTP how the relay is."""
        return None if self.http is None else address_of(self.http)
