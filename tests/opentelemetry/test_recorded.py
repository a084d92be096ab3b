"""From the span in which an event is recorded to the span of its batch."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tidings import NewEvent, Tidings, record

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

PAGE = (Path(__file__).parents[2] / "plugins/opentelemetry/README.md").read_text(encoding="utf-8")
OBSERVER = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
CONFIGURATION = """\
[event_store]
url = "sqlite:///{folder}/events.db"
[exchanges.x]
producer = "jsonlines"
[producers.jsonlines]
path = "{folder}/out.jsonl"
"""


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # The API takes a provider once in a process.
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> Tracer:
    assert exporter is not None
    return trace.get_tracer("application")


def test_the_batch_is_linked_to_the_request_that_recorded_its_event(
    exporter: InMemorySpanExporter, tracer: Tracer, tmp_path: Path
) -> None:
    file = tmp_path / "tidings.toml"
    file.write_text(CONFIGURATION.format(folder=tmp_path) + OBSERVER)
    with Tidings.from_file(file, environ={}) as tidings:
        with closing(tidings.event_store()) as store:
            store.create()
        engine = create_engine(f"sqlite:///{tmp_path}/events.db")
        with tracer.start_as_current_span("place order"), Session(engine) as session:
            record(session, NewEvent("OrderPlaced", {}))
            session.commit()
        engine.dispose()
        tidings.notification_service("x").publish_notifications("x")

    request, published = exporter.get_finished_spans()
    assert (request.name, published.name) == ("place order", "publish x")
    (link,) = published.links
    linked = (link.context.trace_id, link.context.span_id)
    assert linked == (request.context.trace_id, request.context.span_id)
    assert published.context.trace_id != request.context.trace_id
    line = json.loads((tmp_path / "out.jsonl").read_text())
    assert f"{request.context.trace_id:032x}" in json.dumps(line)
    assert f"{published.context.trace_id:032x}" not in json.dumps(line)


def test_the_page_names_every_attribute_and_metric() -> None:
    code = (
        Path(__file__).parents[2] / "plugins/opentelemetry/tidings_opentelemetry/observer.py"
    ).read_text(encoding="utf-8")
    named = set(re.findall(r'"((?:messaging|tidings|error)\.[a-z_.]+)"', code))

    assert named == set(re.findall(r"`((?:messaging|tidings|error)\.[a-z_.]+)`", PAGE))
