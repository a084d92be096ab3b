"""What a disturbance is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.chaos.databases import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.chaos.backends import Backend
    from tests.chaos.stage import Stage

RABBITMQ = ("rabbitmq", "rabbitmq-tail", "rabbitmq-stream")
BROKERS = (*RABBITMQ, "activemq")
ALL = (*BROKERS, "zeromq")


@dataclass(frozen=True)
class Disturbance:
    """A disturbance: how one round of it goes, where it has a meaning, and what it may cost."""

    name: str
    play: Callable[[Stage], None]
    """Plays one round; returns when the relay has recovered by itself."""
    backends: tuple[str, ...] = ALL
    database: Callable[[Path], Database] = Database
    proxy: bool = False
    """Whether it needs one between the relay and who listens to it."""
    crashes: int = 0
    """How often in a round the relay may start again behind what it tracked, at the most."""
    broker_crashes: int = 0
    """How often in a round the broker itself does."""
    reordered: int = 0
    """First deliveries that a round may bring out of order."""
    options: Mapping[str, str] = field(default_factory=dict)
    """How the backend is made, if it isn't as always."""

    def republished(self, backend: Backend) -> int:
        """Return how many duplicates the backend's promise allows in one round."""
        return (
            self.crashes * backend.republished + self.broker_crashes * backend.republished_by_broker
        )
