"""The words under ``[observers.NAME]`` for ``prometheus``."""

from __future__ import annotations

from pydantic import Field

from tidings.plugins import Settings


class PrometheusSettings(Settings):
    """How the metrics are made."""

    look_timeout: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="Seconds for which a scrape waits, at most, for the databases.",
    )
