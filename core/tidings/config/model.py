"""What a configuration file may say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from tidings.config.faults import did_you_mean, key_path
from tidings.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_EXCHANGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


def check_exchange_name(name: str) -> str:
    """Return ``name``, or raise ``ValueError`` where some broker could not hold it."""
    if not _EXCHANGE_NAME.fullmatch(name):
        raise ValueError(
            "an exchange's name has 1 to 127 letters, digits, dots, dashes or underscores, "
            "and begins with a letter or digit"
        )
    return name


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Table(_Model):
    """A table that names a backend; everything else in it is that backend's settings."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    backend: str | None = Field(
        default=None,
        description="The plugin; where there is none, the table's own name (for the event store "
        "and the tracker: sqlalchemy).",
    )

    def settings(self) -> dict[str, Any]:
        """Return what is meant for the backend."""
        return dict(self.model_extra or {})

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Name the keys only, however it is shown: a value may be a secret."""
        return [("backend", self.backend), ("settings", sorted(self.settings()))]


def _patterns(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Exchange(_Model):
    """One exchange: which events go there, and through which producer."""

    producer: str = Field(description="A name of [producers], or of a backend.")
    source: str | None = Field(
        default=None,
        description="A name of [sources], or an event store's backend: where this exchange's "
        "events come from. Without it: the event store.",
    )
    serializer: str = Field(default="json", description="A name of [serializers], or a backend's.")
    events: Annotated[list[str], BeforeValidator(_patterns)] = Field(
        default=[],
        description='Type names to send, with * and ? as wildcards: ["order.*"]. All without it.',
    )
    batch_size: int = Field(
        default=1000, ge=1, le=100_000, description="Events that are read at once."
    )
    on_poison: Literal["stop", "quarantine"] = Field(
        default="stop",
        description="What an event that can never be sent does: it stops its exchange, or is put "
        "in quarantine and passed.",
    )

    @property
    def passes_poison(self) -> bool:
        """Whether an event that can never be sent is put in quarantine."""
        return self.on_poison == "quarantine"


class Relay(_Model):
    """How relays work, on every exchange."""

    lease_seconds: float = Field(
        default=15,
        ge=1,
        le=3600,
        description="How long a dead relay keeps those on other machines from taking over.",
    )
    poll_seconds: float = Field(
        default=0.1,
        ge=0.01,
        le=60,
        description="The longest pause between two looks for events on an idle exchange.",
    )


ExchangeName = Annotated[
    str,
    AfterValidator(check_exchange_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_EXCHANGE_NAME.pattern}$"}),
]


class Part(NamedTuple):
    """One part that the configuration names."""

    backend: str
    table: Table
    path: str
    """Where its settings stand."""


class Configuration(_Model):
    """What ``tidings.toml`` says."""

    event_store: Table = Field(default=Table(), description="Where the events are.")
    tracker: Table | None = Field(
        default=None, description="Where the positions are. Without it: beside the events."
    )
    relay: Relay = Relay()
    exchanges: dict[ExchangeName, Exchange] = Field(default={}, description="By name.")
    sources: dict[str, Table] = Field(
        default={}, description="Settings of sources other than the event store, by name."
    )
    producers: dict[str, Table] = Field(default={}, description="Settings of producers, by name.")
    serializers: dict[str, Table] = Field(default={}, description="Settings of serializers.")
    observers: dict[str, Table] = Field(default={}, description="Observers to load, by name.")

    def exchange(self, name: str) -> Exchange:
        """Return that exchange's settings, or raise :class:`ConfigurationError`."""
        try:
            return self.exchanges[name]
        except KeyError:
            raise ConfigurationError([self._no_such_exchange(name)]) from None

    def store_part(self) -> Part:
        """Return the event store."""
        return Part(self.event_store.backend or "sqlalchemy", self.event_store, "event_store")

    def tracker_part(self) -> Part:
        """Return the tracker."""
        if self.tracker is None:
            return self.store_part()
        return Part(self.tracker.backend or "sqlalchemy", self.tracker, "tracker")

    def source_part(self, exchange_name: str) -> Part:
        """Return where an exchange's events come from."""
        name = self.exchange(exchange_name).source
        return self.store_part() if name is None else _part("sources", name, self.sources)

    def producer_part(self, exchange_name: str) -> Part:
        """Return an exchange's producer."""
        return _part("producers", self.exchange(exchange_name).producer, self.producers)

    def serializer_part(self, exchange_name: str) -> Part:
        """Return an exchange's serializer."""
        return _part("serializers", self.exchange(exchange_name).serializer, self.serializers)

    def _no_such_exchange(self, name: str) -> str:
        if not self.exchanges:
            return (
                f"No exchange {name!r}: none is configured. Add [exchanges.{name}] with a producer."
            )
        return f"No exchange {name!r} is configured.{did_you_mean(name, list(self.exchanges))}"


def _part(group: str, name: str, tables: Mapping[str, Table]) -> Part:
    table = tables.get(name, Table())
    return Part(table.backend or name, table, key_path([group, name]))
