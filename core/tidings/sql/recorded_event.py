"""The application's own event objects, as events that can be stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from tidings.errors import InvalidEventError
from tidings.event import NewEvent
from tidings.routing.trace_context import TRACEPARENT, TRACESTATE


def as_new_event(
    event: object,
    type_name: str | None = None,
    aggregate_id: object = None,
    metadata: Mapping[str, Any] | None = None,
) -> NewEvent:
    """Return ``event`` as it would be stored; raises :class:`~tidings.errors.InvalidEventError`.

    - The **type name** is the one given, else the event's own attribute ``type_name``, be it a
      field or its class's, else the class's name.
    - The **body** is the event's fields as JSON. UUID, Decimal and Enum (its value) become text,
      datetime and date ISO 8601, bytes UTF-8 text. Sets become arrays, nested dataclasses and
      models objects. Pydantic models keep their aliases and serializers.
    - **occurred_on** is the event's own ``occurred_on``, which must have a time zone, else now.
    - **aggregate_id** is the one given, else the event's own ``aggregate_id``, as text.

    A :class:`~tidings.event.NewEvent` stays as it is; what is given fills what it leaves open.
    """
    if isinstance(event, NewEvent):
        return _completed(event, aggregate_id, metadata)
    if isinstance(event, Mapping):
        name = type_name
        own: Mapping[str, Any] = event
        if name is None:
            raise InvalidEventError("An event that is a mapping needs a type_name.")
    elif isinstance(event, BaseModel) or (
        dataclasses.is_dataclass(event) and not isinstance(event, type)
    ):
        name = type_name or _own_type_name(event)
        own = _Attributes(event)
    else:
        raise InvalidEventError(
            "An event is a dataclass, a pydantic model, a mapping or a NewEvent, not "
            f"{event!r:.80}."
        )
    fields: dict[str, Any] = {}
    if isinstance(occurred_on := own.get("occurred_on"), datetime):
        fields["occurred_on"] = occurred_on
    own_id = own.get("aggregate_id") if aggregate_id is None else aggregate_id
    return NewEvent(
        name,
        _body(event, name),
        aggregate_id=None if own_id is None else str(own_id),
        metadata=None if metadata is None else dict(metadata),
        **fields,
    )


class _Attributes(dict[str, Any]):
    """The two attributes of an object that an event store keeps in columns of their own."""

    def __init__(self, event: object) -> None:
        names = ("occurred_on", "aggregate_id")
        super().__init__({name: getattr(event, name, None) for name in names})


def _completed(
    event: NewEvent, aggregate_id: object, metadata: Mapping[str, Any] | None
) -> NewEvent:
    changes: dict[str, Any] = {}
    if event.aggregate_id is None and aggregate_id is not None:
        changes["aggregate_id"] = str(aggregate_id)
    if event.metadata is None and metadata is not None:
        changes["metadata"] = dict(metadata)
    return dataclasses.replace(event, **changes) if changes else event


def in_trace(event: NewEvent, trace: Mapping[str, str]) -> NewEvent:
    """Return ``event`` with a trace context in its metadata; what it has of its own stays.

    A ``tracestate`` belongs to its ``traceparent``: of two traces, none is made.
    """
    given = event.metadata or {}
    of_a_trace = {TRACEPARENT, TRACESTATE}
    theirs = of_a_trace if of_a_trace & given.keys() else set()
    added = {name: text for name, text in trace.items() if name not in theirs | given.keys()}
    return dataclasses.replace(event, metadata={**given, **added}) if added else event


def _own_type_name(event: object) -> str:
    name = getattr(event, "type_name", None)
    if name is None:
        return type(event).__name__
    if isinstance(name, Enum):
        name = name.value
    if not isinstance(name, str):
        raise InvalidEventError(
            f"{type(event).__name__} has an attribute type_name that is not text but "
            f"{type(name).__name__}: say what it is called, with type_name=."
        )
    return name


def _body(event: object, name: str) -> Any:
    try:
        return to_jsonable_python(event, by_alias=True)
    except (PydanticSerializationError, ValueError) as error:
        raise InvalidEventError(f"JSON cannot hold the body of {name!r}: {error}") from error
