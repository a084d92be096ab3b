"""The traces in which events were recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.trace import Link, SpanContext

    from tidings.plugins import StoredEvent

_propagator = TraceContextTextMapPropagator()


def links_to(events: Sequence[StoredEvent]) -> list[Link]:
    """Return a link to each recording context; several events of one transaction share one."""
    # Of events without a trace nothing is read, and of those with the same metadata once.
    texts = dict.fromkeys(
        event.metadata for event in events if event.metadata and "traceparent" in event.metadata
    )
    found: dict[tuple[int, int], SpanContext] = {}
    for text in texts:
        context = _context(text or "")
        if context.is_valid:
            found.setdefault((context.trace_id, context.span_id), context)
    return [trace.Link(context) for context in found.values()]


def _context(metadata: str) -> SpanContext:
    """Return the context in an event's metadata; an invalid one if there is none."""
    try:
        carrier: Any = json.loads(metadata)
    except (ValueError, RecursionError):
        carrier = None
    texts = carrier.items() if isinstance(carrier, dict) else ()
    headers = {name: text for name, text in texts if isinstance(text, str)}
    # Into an empty context: what is current here has nothing to do with the event.
    return trace.get_current_span(_propagator.extract(headers, Context())).get_span_context()
