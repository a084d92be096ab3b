"""The page on tracing: its blocks record and consume in one trace."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tidings import InMemoryBroker, InMemoryProducer, JsonSerializer, NotificationService
from tidings.builtin.memory import InMemoryTracker
from tidings.relay.route import Route
from tidings.sql import SqlAlchemyEventStore, SqlAlchemySettings

if TYPE_CHECKING:
    import pytest

    from tidings import ReceivedMessage

PAGE = (Path(__file__).parents[2] / "docs" / "tracing.md").read_text(encoding="utf-8")
RECORDING, LINKING, IN_ONE_TRACE = re.findall(
    r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL
)


def run(block: str, names: dict[str, Any]) -> None:
    exec(compile(block, "page", "exec"), names)  # noqa: S102 - ours


def carried(store: SqlAlchemyEventStore) -> ReceivedMessage:
    broker = InMemoryBroker()
    producer, tracker = InMemoryProducer(broker), InMemoryTracker()
    route = Route("shop", store, tracker, producer, JsonSerializer())
    NotificationService(route).publish_notifications("shop")
    (message,) = broker.messages("shop")
    return message


def test_what_is_recorded_in_a_span_is_handled_in_a_linked_one_or_in_its_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    url = f"sqlite:///{tmp_path}/events.db"
    names: dict[str, Any] = {}

    with closing(SqlAlchemyEventStore(SqlAlchemySettings(url=SecretStr(url)))) as store:
        store.create()
        run(RECORDING, names)
        names["place"](create_engine(url, poolclass=NullPool), {"id": "order-1"})
        message = carried(store)
    run(LINKING, names)
    names["handle"](message)
    run(IN_ONE_TRACE, names)
    names["handle_in_one_trace"](message)

    placed, linked, child = exporter.get_finished_spans()
    assert [link.context.span_id for link in linked.links] == [placed.context.span_id]
    assert linked.parent is None
    assert child.parent
    assert child.parent.span_id == placed.context.span_id
    assert child.context.trace_id == placed.context.trace_id
