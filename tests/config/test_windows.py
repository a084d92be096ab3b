"""Each producer of ours says how many events may be in flight, as its settings do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidings import Tidings

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """
[event_store]
backend = "memory"
[exchanges.x]
producer = "{backend}"
[producers.{backend}]
{settings}
"""
WITH_A_WINDOW = {
    "rabbitmq": 'url = "amqp://unused/"\nwindow = 123',
    "rabbitmq-stream": 'url = "rabbitmq-stream://unused/"\nwindow = 123',
    "activemq": 'url = "stomp://unused/"\nwindow = 123\nbatch_size = 10',
    "zeromq": 'bind = "tcp://127.0.0.1:1"\nwindow = 123',
}


def made(folder: Path, backend: str, settings: str) -> Tidings:
    file = folder / "tidings.toml"
    file.write_text(CONFIGURATION.format(backend=backend, settings=settings))
    return Tidings.from_file(file, environ={})


@pytest.mark.parametrize("backend", WITH_A_WINDOW)
def test_a_producer_says_what_its_window_is(tmp_path: Path, backend: str) -> None:
    with made(tmp_path, backend, WITH_A_WINDOW[backend]) as tidings:
        assert tidings.producer("x").window == 123


def test_a_file_has_none(tmp_path: Path) -> None:
    with made(tmp_path, "jsonlines", 'path = "x.jsonl"') as tidings:
        assert tidings.producer("x").window is None
