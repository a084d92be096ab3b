"""What a configuration file may say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from typing_extensions import override

from tidings.config.address import Address, address_of, check_address
from tidings.config.problems import did_you_mean, key_path
from tidings.errors import ConfigurationError
from tidings.routing.addressing import Addressing
from tidings.routing.template import Field as EventField
from tidings.routing.template import Template, check_field, check_template
from tidings.routing.trace_context import NAMES as TRACE_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_PARTITIONS = 1024
"""Of an exchange: a queue, or a stream, each."""

_TAKEN_HEADERS = {
    "aggregate_id",
    "metadata",
    "occurred_on",
    "generation",
    "partition",
    *TRACE_CONTEXT,
}
_HEADER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,126}")
_EXCHANGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


def check_exchange_name(name: str) -> str:
    """Return ``name``, or raise ``ValueError`` if some broker could not hold it."""
    if not _EXCHANGE_NAME.fullmatch(name):
        raise ValueError(
            "an exchange's name has 1 to 127 letters, digits, dots, dashes or underscores, "
            "and begins with a letter or digit"
        )
    return name


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class Table(_Model):
    """A table that names a backend; everything else in it is that backend's settings."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    backend: str | None = Field(
        default=None,
        description="The plugin; if there is none, the table's own name (for the event store "
        "and the tracker: sqlalchemy).",
    )

    def settings(self) -> dict[str, Any]:
        """Return what is meant for the backend."""
        return dict(self.model_extra or {})

    @override
    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Name the keys only, however it is shown: a value may be a secret."""
        return [("backend", self.backend), ("settings", sorted(self.settings()))]


def _check_pattern(pattern: str) -> str:
    if not pattern or pattern != pattern.strip():
        raise ValueError(f"{pattern!r} matches no type name")
    return pattern


def _check_header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no header's name: 1 to 127 letters, digits, dashes or underscores, and "
            "no digit or dash first"
        )
    if name in _TAKEN_HEADERS:
        raise ValueError(f"{name!r} is a header that tidings sets itself; choose another name")
    return name


class Exchange(_Model):
    """One exchange: which events go there, and through which producer."""

    producer: str = Field(description="A name of [producers], or of a backend.")
    source: str | None = Field(
        default=None,
        description="A name of [sources], or an event store's backend: where this exchange's "
        "events come from. Without it: the event store.",
    )
    serializer: str = Field(default="json", description="A name of [serializers], or a backend's.")
    events: list[Annotated[str, AfterValidator(_check_pattern)]] = Field(
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
    routing_key: Annotated[str, AfterValidator(check_template)] | None = Field(
        default=None,
        description="What subscribers choose messages by, as shop.{type_name}: a text with fields "
        "of the event in braces, {type_name}, {aggregate_id} or {metadata.NAME}. "
        "{metadata.NAME:other} is 'other' for an event that lacks it.",
        examples=["shop.{type_name}", "{metadata.tenant:unknown}.{type_name}"],
    )
    headers: dict[
        Annotated[str, AfterValidator(_check_header_name)],
        Annotated[str, AfterValidator(check_field)],
    ] = Field(
        default={},
        description="Fields of the event that travel as headers of their own: "
        "{tenant = 'metadata.tenant'}.",
    )
    partition_by: Annotated[str, AfterValidator(check_field)] | None = Field(
        default=None,
        description="A field of the event, type_name, aggregate_id or metadata.NAME: events that "
        "have the same there belong to one partition, and stay in order.",
        examples=["aggregate_id", "metadata.tenant"],
    )
    partitions: int | None = Field(
        default=None,
        ge=1,
        le=MOST_PARTITIONS,
        description="How many partitions the exchange has. With another number keys belong to "
        "other partitions.",
    )

    @model_validator(mode="after")
    def _is_parted_or_not(self) -> Self:
        if (self.partition_by is None) != (self.partitions is None):
            has, lacks = ("partition_by", "partitions")
            if self.partition_by is None:
                has, lacks = lacks, has
            raise ValueError(f"{has} is set and {lacks} is not; set both, or neither")
        return self

    @property
    def addressing(self) -> Addressing:
        """What each of its messages is given."""
        key = None if self.routing_key is None else Template.parse(self.routing_key)
        headers = {name: EventField.parse(field) for name, field in self.headers.items()}
        by = None if self.partition_by is None else EventField.parse(self.partition_by)
        return Addressing(key, headers, by, self.partitions or 0)

    @property
    def passes_poison(self) -> bool:
        """Whether an event that can never be sent is put in quarantine."""
        return self.on_poison == "quarantine"


class RelaySettings(_Model):
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
        description="The longest pause between two looks for events while exchanges are idle, "
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
        default=10_000,
        ge=0,
        le=1_000_000,
        description="How many entries the journal keeps of what happened; 0: none are written.",
    )
    journal_days: float = Field(
        default=90, gt=0, le=36_500, description="How long the journal keeps an entry."
    )

    @property
    def http_address(self) -> Address | None:
        """Where to say over HTTP how the relay is."""
        return None if self.http is None else address_of(self.http)


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
