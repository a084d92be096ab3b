"""The W3C trace context of whoever recorded an event, on its way with the event."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.propagators.textmap import TextMapPropagator

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
BAGGAGE: Final = "baggage"
NAMES: Final = (TRACEPARENT, TRACESTATE, BAGGAGE)
"""Keys of an event's metadata, and names of a message's headers."""


def may_have_one(metadata: str) -> bool:
    """Return whether metadata that isn't read yet may hold a trace context."""
    return TRACEPARENT in metadata or BAGGAGE in metadata


def of_metadata(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the trace context in an event's metadata, unchanged: the headers of its message.

    What is no text, or none that UTF-8 can hold, is none: somebody else's rows are no reason to
    stop an exchange.
    """
    if TRACEPARENT not in metadata and BAGGAGE not in metadata:
        return {}
    return {
        name: value
        for name in NAMES
        if isinstance(value := metadata.get(name), str) and (value.isascii() or _is_unicode(value))
    }


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def current() -> dict[str, str]:
    """Return the trace context that is current here, as OpenTelemetry has it; empty without one.

    In W3C's words, whatever propagators the application has chosen for its own requests.
    """
    # Nothing can be current in a process that has not imported it; and we never are the first to.
    if "opentelemetry.context" not in sys.modules:
        return {}
    found: dict[str, str] = {}
    for propagator in _propagators():
        propagator.inject(found)
    return found


@cache
def _propagators() -> Sequence[TextMapPropagator]:
    from opentelemetry.baggage.propagation import (  # noqa: PLC0415 - only if it is there
        W3CBaggagePropagator,
    )
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - likewise
        TraceContextTextMapPropagator,
    )

    return TraceContextTextMapPropagator(), W3CBaggagePropagator()
