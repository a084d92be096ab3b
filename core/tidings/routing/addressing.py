"""What a message carries beside what its serializer makes of the event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pydantic_core

from tidings.event import from_json
from tidings.interfaces import NotificationMessage
from tidings.interfaces.partition import hash_of
from tidings.routing import trace_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidings.event import StoredEvent
    from tidings.routing.template import Field, Template

_new = tuple.__new__


@dataclass(frozen=True, slots=True)
class Addressing:
    """Puts routing key, partition, chosen fields and the trace context of an event on a message.

    The trace context, if the event's metadata has one, always travels as headers of its own. A
    routing key, a partition key or a header that is configured takes the place of the serializer's.

    **Threads.** May be used by any number of threads.
    """

    routing_key: Template | None = None
    headers: Mapping[str, Field] = field(default_factory=dict)
    """Names of headers, and what stands in them; without the header if an event lacks it."""
    partition_by: Field | None = None
    """What decides about an event's partition; an event that lacks it belongs to partition 0."""
    partitions: int = 0
    """How many there are; 0 if the exchange is not parted."""
    _reads_metadata: bool = field(init=False, default=False)
    _by_aggregate: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """See once what need not be looked up for each event."""
        of_headers = any(each.is_metadata for each in self.headers.values())
        of_key = self.routing_key is not None and self.routing_key.is_of_metadata
        of_partition = self.partition_by is not None and self.partition_by.is_metadata
        object.__setattr__(self, "_reads_metadata", of_headers or of_key or of_partition)
        by_aggregate = self.partition_by is not None and self.partition_by.name == "aggregate_id"
        object.__setattr__(self, "_by_aggregate", by_aggregate)

    @property
    def partition_field(self) -> str:
        """``partition_by`` as the configuration says it; empty if the exchange is not parted."""
        return "" if self.partition_by is None else str(self.partition_by)

    def complete(self, message: NotificationMessage, event: StoredEvent) -> NotificationMessage:
        """Return the message to send; ``ValueError`` if the event lacks what its key needs."""
        text, template, partition_by = event.metadata, self.routing_key, self.partition_by
        metadata: Mapping[str, Any] = {}
        headers = message.headers
        if text is not None and (self._reads_metadata or trace_context.may_have_one(text)):
            metadata = _read(text)
            if trace := trace_context.of_metadata(metadata):
                headers = {**headers, **trace}
        elif template is None and partition_by is None and not self.headers:
            return message
        if self.headers:
            headers = dict(headers)
            for name, each in self.headers.items():
                if (value := each.of(event, metadata)) is not None:
                    headers[name] = value
        key = message.routing_key if template is None else template.of(event, metadata)
        if partition_by is None:
            partition_key, partition = message.partition_key, message.partition
        else:
            partition_key = (
                event.aggregate_id or partition_by.default
                if self._by_aggregate
                else partition_by.of(event, metadata)
            )
            partition = hash_of(partition_key) % self.partitions if partition_key else 0
        # As the class's own does, without its handling of defaults: this is done for each event.
        return _new(
            NotificationMessage,
            (message.body, message.content_type, headers, key, partition_key, partition),
        )


def _read(text: str) -> Mapping[str, Any]:
    """Return metadata that is an object; of what is none, an event has no fields."""
    try:
        # Four times as fast as our own reader, which has the last word.
        metadata = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError:
        # Nested more than 200 times, or half of a surrogate pair: JSON may be either.
        try:
            metadata = from_json(text)
        except ValueError:
            return {}
    return metadata if isinstance(metadata, dict) else {}
