"""What a configuration file may say."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from tidings.config.exchange import Exchange, ExchangeName
from tidings.config.problems import did_you_mean, key_path
from tidings.config.relay import RelaySettings
from tidings.config.table import Strict, Table
from tidings.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Part(NamedTuple):
    """One part that the configuration names."""

    backend: str
    table: Table
    path: str
    """Where its settings stand."""


class Configuration(Strict):
    """What ``tidings.toml`` says."""

    event_store: Table = Field(
        default=Table(),
        description="Where the events are. A service that only consumes needs none.",
    )
    tracker: Table | None = Field(
        default=None, description="Where the positions are. Without it: beside the events."
    )
    relay: RelaySettings = RelaySettings()
    exchanges: dict[ExchangeName, Exchange] = Field(default={}, description="By name.")
    sources: dict[str, Table] = Field(
        default={}, description="Settings of sources other than the event store, by name."
    )
    producers: dict[str, Table] = Field(default={}, description="Settings of producers, by name.")
    serializers: dict[str, Table] = Field(default={}, description="Settings of serializers.")
    observers: dict[str, Table] = Field(default={}, description="Observers to load, by name.")

    @property
    def has_store(self) -> bool:
        """Whether it names an event store: that of a service which only consumes does not."""
        return not self.model_fields_set.isdisjoint({"event_store", "tracker"})

    def exchange(self, name: str) -> Exchange:
        """Return that exchange's settings, or raise :class:`ConfigurationError`."""
        try:
            return self.exchanges[name]
        except KeyError:
            raise ConfigurationError([self._no_such_exchange(name)]) from None

    def uses(self, path: str) -> bool:
        """Return whether what stands at that key is used: a table that no exchange names is not."""
        exchanges = self.exchanges.values()
        named: dict[str, set[str | None]] = {
            "sources": {exchange.source for exchange in exchanges},
            "producers": {exchange.producer for exchange in exchanges},
            "serializers": {exchange.serializer for exchange in exchanges},
        }
        group = path.partition(".")[0]
        tables = [key_path([group, name]) for name in named.get(group, ()) if name is not None]
        return group not in named or path.startswith(tuple(f"{table}." for table in tables))

    def store_part(self) -> Part:
        return Part(self.event_store.backend or "sqlalchemy", self.event_store, "event_store")

    def tracker_part(self) -> Part:
        if self.tracker is None:
            return self.store_part()
        return Part(self.tracker.backend or "sqlalchemy", self.tracker, "tracker")

    def source_part(self, exchange_name: str | None) -> Part:
        """Return where an exchange's events come from; the event store for none."""
        name = None if exchange_name is None else self.exchange(exchange_name).source
        return self.store_part() if name is None else _part("sources", name, self.sources)

    def producer_part(self, exchange_name: str) -> Part:
        """Return an exchange's producer."""
        return _part("producers", self.exchange(exchange_name).producer, self.producers)

    def serializer_part(self, exchange_name: str) -> Part:
        """Return an exchange's serializer."""
        return _part("serializers", self.exchange(exchange_name).serializer, self.serializers)

    def observer_parts(self) -> list[Part]:
        """Return all observers."""
        return [_part("observers", name, self.observers) for name in self.observers]

    def _no_such_exchange(self, name: str) -> str:
        if not self.exchanges:
            return (
                f"No exchange {name!r}: none is configured. Add [exchanges.{name}] with a producer."
            )
        return f"No exchange {name!r} is configured.{did_you_mean(name, list(self.exchanges))}"


def _part(group: str, name: str, tables: Mapping[str, Table]) -> Part:
    table = tables.get(name, Table())
    return Part(table.backend or name, table, key_path([group, name]))
