"""The C client fails if the broker refuses a message, and is left out if it cannot be."""

from __future__ import annotations

from contextlib import closing, nullcontext
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pika
import pytest
from benchmarks.measuring import Sample
from benchmarks.tables import show_rates
from benchmarks.wire import amqp, librabbitmq
from benchmarks.wire.backends import BACKENDS

from tests.benchmarks.conftest import EVENTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import RabbitMQ


def publish_with_librabbitmq(
    program: Path, url: str, database_url: str, window: int, **queue: Any
) -> Sample:
    """Publish, to a queue with these arguments; to none with ``missing=True``."""
    name = f"librabbitmq-{window}-{'-'.join(queue)}"
    job = partial(librabbitmq.publishing, program=program, url=url, database_url=database_url)
    with (
        job(name, count=EVENTS, window=window) as work,
        closing(pika.BlockingConnection(pika.URLParameters(url))) as connection,
    ):
        channel = connection.channel()
        if queue:
            channel.queue_delete(name)
        if queue and not queue.get("missing"):
            channel.queue_declare(name, arguments=queue)
            channel.queue_bind(name, name)
        try:
            return work()
        finally:
            amqp.delete(url, name)


@pytest.mark.parametrize("window", [1, 2, 7, EVENTS, 1000])
def test_librabbitmq_gets_everything_confirmed_in_any_window(
    window: int, program: Path, rabbitmq: RabbitMQ, filled_url: str
) -> None:
    sample = publish_with_librabbitmq(program, rabbitmq.url, filled_url, window)

    assert sample.events == EVENTS
    assert 0 < sample.cpu_seconds < sample.seconds
    assert 1_000_000 < sample.peak_bytes < 30_000_000, "of a C program, not of Python around it"


@pytest.mark.parametrize(
    ("queue", "reason"),
    [
        ({"x-max-length": 3, "x-overflow": "reject-publish"}, r"did not accept .*basic\.nack"),
        ({"missing": True}, r"found no queue .*basic\.return"),
    ],
)
def test_librabbitmq_fails_where_a_message_is_not_accepted(
    queue: dict[str, Any], reason: str, program: Path, rabbitmq: RabbitMQ, filled_url: str
) -> None:
    with pytest.raises(RuntimeError, match=reason):
        publish_with_librabbitmq(program, rabbitmq.url, filled_url, 100, **queue)


@pytest.mark.parametrize(
    ("compiler", "reason"), [("no-such-compiler", "no compiler"), ("false", "no librabbitmq")]
)
def test_a_machine_without_librabbitmq_gets_the_reason_in_its_place(
    compiler: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_server = SimpleNamespace(url="amqp://nowhere")
    monkeypatch.setattr("benchmarks.servers.started", lambda _: nullcontext(no_server))
    monkeypatch.setenv("CC", compiler)

    with BACKENDS["rabbitmq"]() as backend:
        assert list(backend.contenders("sqlite://", 10)) == ["bare socket", "pika, a confirm each"]
    show_rates("Wire", {"relay": [Sample(1, 1.0, 1.0, 1)]}, "relay", backend.absent)

    assert f"| librabbitmq (C) | {reason} |" in " ".join(capsys.readouterr().out.split())


def test_a_c_client_that_does_not_compile_is_no_missing_library(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.c"
    broken.write_text("int main(void) { return undeclared; }")
    monkeypatch.setattr(librabbitmq, "SOURCE", broken)

    with pytest.raises(RuntimeError, match=r"(?s)broken\.c does not compile:.*undeclared"):
        librabbitmq.compiled(tmp_path)
