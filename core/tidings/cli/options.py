"""Numbers and times that options take, and the option that two commands share."""

from __future__ import annotations

import math
import re
from datetime import timedelta

import click

from tidings.event import MAX_EVENT_ID

COUNT = EVENT_ID = click.IntRange(min=1, max=MAX_EVENT_ID)
LIMIT = click.option("--limit", type=COUNT, metavar="N", help="Stop after N events are sent.")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=36500)


def seconds(text: str) -> float:
    """Return a time in seconds, fractions too: neither negative nor endless."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found <= _LONGEST.total_seconds():
        raise click.BadParameter(f"{text!r} is no number of seconds; write 30, or 0.5.")
    return found


def age(text: str) -> timedelta:
    """Return an age with its unit, a hundred years at most."""
    match = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
    if not match:
        raise click.BadParameter(f"{text!r} is no age; write 30d, 12h, 90m or 2w.")
    found = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if found > _LONGEST:
        raise click.BadParameter(f"{text!r} is longer than a hundred years.")
    return found
