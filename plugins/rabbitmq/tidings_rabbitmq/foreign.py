"""What other programs put into their messages, as text and time. Nothing here raises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime.fromtimestamp(0, UTC)


def text(value: object) -> str:
    """Return a property or header as text: ``""`` if there is none."""
    if value is None:
        return ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def moment(exact: object, milliseconds: object) -> datetime | None:
    """Return the exact time in ISO 8601, else the protocol's own time, else ``None``.

    ``None`` also if the time is none that a ``datetime`` holds, as when a program gives
    milliseconds instead of seconds. A time without a zone counts as UTC.
    """
    try:
        when = datetime.fromisoformat(text(exact))
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    if not isinstance(milliseconds, int):
        return None
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None
