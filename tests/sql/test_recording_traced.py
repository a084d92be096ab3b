"""What is recorded keeps the trace in which it was recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage, context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from tidings import NewEvent, record, record_from
from tidings.sql import metadata as tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opentelemetry.trace import Span

TRACER = TracerProvider().get_tracer("tests")
BY_HAND = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Order:
    id: str = "order-1"
    events: list[object] = field(default_factory=list)


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Any]:
    """Give a function that records, and returns the metadata that was stored, as text."""
    engine = create_engine(f"sqlite:///{tmp_path}/events.db", poolclass=NullPool)
    tables.create_all(engine)

    def recorded(act: Callable[[Session], None]) -> list[str | None]:
        with Session(engine) as session, session.begin():
            act(session)
        with engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT metadata FROM event ORDER BY event_id")
            return [row[0] for row in found]

    return recorded


@pytest.fixture
def span() -> Iterator[Span]:
    """Let a span be current."""
    with TRACER.start_as_current_span("place order") as span:
        yield span


def traceparent(span: Span) -> str:
    found = span.get_span_context()
    flags = f"{found.trace_flags:02x}"
    return f"00-{format_trace_id(found.trace_id)}-{format_span_id(found.span_id)}-{flags}"


def test_the_current_span_is_kept_behind_the_events_own_metadata(
    recorded: Callable[..., Any], span: Span
) -> None:
    (stored,) = recorded(lambda s: record(s, NewEvent("A", 1, metadata={"user": "ü"})))

    assert stored == f'{{"user":"ü","traceparent":"{traceparent(span)}"}}'


def test_state_and_baggage_are_kept_too(recorded: Callable[..., Any]) -> None:
    of_others = SpanContext(
        1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("a", "b")])
    )
    current = set_span_in_context(NonRecordingSpan(of_others))
    token = context.attach(baggage.set_baggage("tenant", "a c", current))
    try:
        (stored,) = recorded(lambda s: record(s, NewEvent("A", 1)))
    finally:
        context.detach(token)

    assert json.loads(stored) == {
        "traceparent": f"00-{1:032x}-{2:016x}-01",
        "tracestate": "a=b",
        "baggage": "tenant=a+c",
    }


def test_a_state_of_another_trace_is_not_mixed_with_the_current_one(
    recorded: Callable[..., Any], span: Span
) -> None:
    (stored,) = recorded(lambda s: record(s, NewEvent("A", 1, metadata={"tracestate": "a=b"})))
    assert json.loads(stored) == {"tracestate": "a=b"}


def test_an_aggregates_events_keep_it(recorded: Callable[..., Any], span: Span) -> None:
    order = Order(events=[NewEvent("A", 1), NewEvent("B", 2)])

    stored = recorded(lambda s: record_from(s, order))

    assert [json.loads(each) for each in stored] == [{"traceparent": traceparent(span)}] * 2


def test_without_a_span_nothing_is_added(recorded: Callable[..., Any]) -> None:
    assert recorded(lambda s: record(s, NewEvent("A", 1), NewEvent("B", 1, metadata={}))) == [
        None,
        "{}",
    ]


@pytest.mark.usefixtures("span")
def test_it_can_be_switched_off(recorded: Callable[..., Any]) -> None:
    def act(session: Session) -> None:
        record(session, NewEvent("A", 1), trace_context=False)
        record_from(session, Order(events=[NewEvent("B", 1)]), trace_context=False)

    assert recorded(act) == [None, None]


@pytest.mark.parametrize("given", [BY_HAND, None])
def test_what_is_given_by_hand_stays_and_gets_nothing_of_another_trace(
    recorded: Callable[..., Any], given: str | None
) -> None:
    of_others = SpanContext(1, 2, is_remote=True, trace_state=TraceState([("a", "b")]))
    current = set_span_in_context(NonRecordingSpan(of_others))
    token = context.attach(baggage.set_baggage("tenant", "acme", current))
    try:
        (stored,) = recorded(
            lambda s: record(s, {"a": 1}, type_name="A", metadata={"traceparent": given})
        )
    finally:
        context.detach(token)

    assert json.loads(stored) == {"traceparent": given, "baggage": "tenant=acme"}


@pytest.mark.usefixtures("span")
def test_the_applications_own_mapping_stays_as_it_is(recorded: Callable[..., Any]) -> None:
    given = {"user": "ü"}
    event = NewEvent("A", 1, metadata=given)

    recorded(lambda s: record(s, event))
    recorded(lambda s: record(s, {}, type_name="A", metadata=given))

    assert given == {"user": "ü"}
    assert event.metadata is given


def test_an_application_without_opentelemetry_does_not_import_it(tmp_path: Path) -> None:
    program = f"""
import sys
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from tidings import NewEvent, record
from tidings.sql import metadata

engine = create_engine("sqlite:///{tmp_path}/events.db")
metadata.create_all(engine)
with Session(engine) as session, session.begin():
    record(session, NewEvent("A", 1))
with engine.connect() as connection:
    print(connection.exec_driver_sql("SELECT metadata FROM event").all())
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[(None,)]\n[]\n"
