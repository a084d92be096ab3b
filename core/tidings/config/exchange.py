"""What a configuration file may say of one exchange."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from tidings.config.table import Strict
from tidings.defaults import BATCH_SIZE
from tidings.routing.addressing import Addressing
from tidings.routing.template import Field as EventField
from tidings.routing.template import Template, check_field, check_template
from tidings.routing.trace_context import NAMES as TRACE_CONTEXT

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


ExchangeName = Annotated[
    str,
    AfterValidator(check_exchange_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_EXCHANGE_NAME.pattern}$"}),
]


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


class Exchange(Strict):
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
        default=BATCH_SIZE, ge=1, le=100_000, description="Events that are read at once."
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
