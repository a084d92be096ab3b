"""The words under ``[producers.NAME]`` for ``zeromq-pub``."""

from __future__ import annotations

from pydantic import Field

from tidings_zeromq.settings import EndpointSettings


class ZeroMQPubSettings(EndpointSettings):
    """The settings of ``zeromq-pub``: sent once, to whoever listens. Lossy."""

    high_water_mark: int = Field(
        default=100_000,
        ge=1,
        description="How many events may wait for one subscriber; more are dropped for it.",
    )
