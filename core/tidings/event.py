"""A domain event, before and after it is stored."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn

from tidings.errors import InvalidEventError

MAX_TYPE_NAME = 255
"""Characters in an event's type name: what the column and an AMQP short string hold."""

MAX_EVENT_ID = 2**63 - 1
"""The greatest id that an event store may give: what 64 bits with a sign hold."""

UNREADABLE_TIME = datetime.min.replace(tzinfo=UTC)
"""The time of what stands for an event that cannot be read: it tells nothing about the event."""


class StoredEvent(NamedTuple):
    """An event as the event store holds it. Immutable."""

    event_id: int
    """Its place in the order of the store; unique, ascending, not without holes."""

    type_name: str
    """What happened, as a name: ``"OrderPlaced"``."""

    body: str
    """The event's data: JSON text, exactly as stored."""

    occurred_on: datetime
    """When it happened: UTC, to the microsecond."""

    aggregate_id: str | None = None
    """Which thing it happened to, if the application says so."""

    metadata: str | None = None
    """What the application wants to travel along: the JSON text of an object, or ``None``."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that is not stored yet.

    ``body`` and ``metadata`` are Python values that JSON can hold. ``occurred_on`` must have a
    time zone; without one given it is now. Raises :class:`InvalidEventError` if a field cannot
    be stored.
    """

    type_name: str
    body: Any
    occurred_on: datetime = field(default_factory=lambda: datetime.now(UTC))
    aggregate_id: str | None = None
    metadata: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse what the tables or a broker could not hold."""
        _check_name("type_name", self.type_name)
        if self.aggregate_id is not None:
            _check_name("aggregate_id", self.aggregate_id)
        if not isinstance(self.occurred_on, datetime):
            raise InvalidEventError(
                f"occurred_on of {self.type_name!r} must be a datetime, "
                f"not {type(self.occurred_on).__name__}."
            )
        if self.occurred_on.tzinfo is None or self.occurred_on.utcoffset() is None:
            raise InvalidEventError(
                f"occurred_on of {self.type_name!r} has no time zone "
                f"({self.occurred_on.isoformat()}); use datetime.now(timezone.utc), or add Z or "
                "an offset such as +02:00."
            )
        try:
            self.occurred_on.astimezone(UTC)
        except OverflowError:
            raise InvalidEventError(
                f"occurred_on of {self.type_name!r} is no time in UTC "
                f"({self.occurred_on.isoformat()}): only the years 1 to 9999 are."
            ) from None
        if self.metadata is not None and not isinstance(self.metadata, dict):
            raise InvalidEventError(f"metadata of {self.type_name!r} must be an object (dict).")

    def body_text(self) -> str:
        """Return the body as JSON text; :class:`InvalidEventError` if JSON cannot hold it."""
        return to_json(self.body, f"the body of {self.type_name!r}")

    def metadata_text(self) -> str | None:
        """Return the metadata as JSON text, or ``None``."""
        if self.metadata is None:
            return None
        return to_json(self.metadata, f"the metadata of {self.type_name!r}")


def to_json(value: Any, what: str) -> str:
    """Return ``value`` as compact JSON text; ``what`` names it in the error."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()  # a lone surrogate is no text, and neither databases nor brokers take it
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEventError(f"JSON cannot hold {what}: {error}") from error
    return text


def from_json(text: str | bytes) -> Any:
    """Return the value of strict JSON text (no NaN); raises ``ValueError``."""
    # Made once: `json.loads` makes a decoder for each call that has an argument.
    try:
        return _STRICT.decode(text if isinstance(text, str) else text.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(parse_constant=_no_constant)


# All of Unicode's category Cc; what joins letters, or spaces them, is text.
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")


def _check_name(field_name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidEventError(f"{field_name} must be text, not {type(value).__name__}.")
    if not value:
        raise InvalidEventError(f"{field_name} is empty.")
    if len(value) > MAX_TYPE_NAME:
        raise InvalidEventError(
            f"{field_name} has {len(value)} characters; {MAX_TYPE_NAME} are allowed "
            f"({value[:40]}…)."
        )
    if _CONTROL.search(value):
        raise InvalidEventError(f"{field_name} holds a control character: {value!r}.")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidEventError(f"{field_name} is not valid text: {value!r}.") from error
    if field_name == "type_name" and size > MAX_TYPE_NAME:
        raise InvalidEventError(
            f"type_name has {size} bytes in UTF-8; message brokers hold {MAX_TYPE_NAME} "
            f"({value[:40]}…)."
        )
