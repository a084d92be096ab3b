"""Who can do without the environment variables that are not set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from tidings.config.model import Configuration

_NOT_FOR_EVERYBODY = (
    "event_store",
    "tracker",
    "observers",
    "sources",
    "serializers",
    "producers",
)
"""Tables that a consumer does without; but for its own exchange's in the last."""


@dataclass(frozen=True, slots=True)
class Unset:
    """The keys, by path, whose values ask for such variables."""

    configuration: Configuration
    paths: Collection[str] = ()

    def lets_consume(self, exchange_name: str) -> bool:
        """Return whether a consumer of the exchange does without all of them."""
        table = self.configuration.producer_part(exchange_name).path
        return not any(path.startswith(f"{table}.") for path in self.paths)

    def serves_anybody(self) -> bool:
        """Return whether none is missing, or some consumer does without them."""
        if any(path.partition(".")[0] not in _NOT_FOR_EVERYBODY for path in self.paths):
            return False
        names = self.configuration.exchanges
        return not self.paths or not names or any(map(self.lets_consume, names))
