"""What observers show over HTTP, whatever they do."""

from __future__ import annotations

import json
import re
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from tests.docs.rights import PAGE
from tests.servers import free_port
from tidings import Observer, Tidings, TidingsError
from tidings.config.address import ListenAddress
from tidings.health.asking import ask
from tidings.health.bounded_look import BoundedLook
from tidings.health.pages import MOST_SCRAPES, metrics, pages_of, status_page
from tidings.health.server import serving
from tidings.plugins import Exposition
from tidings.relay.observers import Observers
from tidings.relay.pulse import Vitals
from tidings.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path


class Showing(Observer):
    """Shows what was asked for, when it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may = threading.Event()

    @override
    def exposition(self, accept: str) -> Exposition:
        self.asked.append(accept)
        self.may.wait()
        return Exposition("text/plain; version=1", b"up 1\n")


def test_the_observer_is_told_what_is_accepted_and_its_words_are_passed_on() -> None:
    observer = Showing()
    observer.may.set()

    answer = metrics(Observers([Observer(), observer]))("text/plain")

    assert answer == (HTTPStatus.OK, b"up 1\n", "text/plain; version=1")
    assert observer.asked == ["text/plain"]


def test_an_observer_that_hangs_holds_a_few_threads_and_no_more() -> None:
    observer = Showing()
    page = metrics(Observers([observer]))
    threads = [threading.Thread(target=page, args=[""]) for _ in range(MOST_SCRAPES)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(observer.asked) == MOST_SCRAPES)

    refused = page("")

    observer.may.set()
    for thread in threads:
        thread.join()
    assert refused.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Ask less often" in json.loads(refused.body)["error"]
    assert page("").status == HTTPStatus.OK


def test_a_fault_of_a_plugins_store_is_an_answer_too() -> None:
    def look() -> str:
        raise KeyError("a fault of the plugin's")

    answer = status_page(BoundedLook(look, "The event store"))

    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert json.loads(answer.body)["error"].startswith("KeyError: ")


class Stuck:
    """Stands for a worker of which one thread takes no step, and one waits to try again."""

    def vitals(self) -> list[Vitals]:
        return [
            Vitals("x", "working", None, True, 700.2),
            Vitals("y", "failing", "it is down", True, 0.1),
        ]


def test_health_says_of_a_thread_that_is_stuck_for_how_long(tmp_path: Path) -> None:
    file = tmp_path / "tidings.toml"
    file.write_text('[event_store]\nbackend = "memory"\n[exchanges.x]\nproducer = "jsonlines"\n')
    worker: Any = Stuck()
    address = ListenAddress("127.0.0.1", free_port())
    with (
        Tidings.from_file(file, environ={}) as tidings,
        serving(address, pages_of(tidings, worker)),
    ):
        with pytest.raises(TidingsError) as live:
            ask(address, "live")
        with pytest.raises(TidingsError) as ready:
            ask(address, "ready")

    assert str(live.value) == (
        f"The relay at {address} is not live: "
        "x is working (its thread has taken no step for 700 s)."
    )
    assert str(ready.value) == f"The relay at {address} is not ready: y is failing (it is down)."


def test_the_operators_page_names_every_path(tmp_path: Path) -> None:
    file = tmp_path / "tidings.toml"
    file.write_text('[event_store]\nbackend = "memory"\n[exchanges.x]\nproducer = "jsonlines"\n')
    with Tidings.from_file(file, environ={}) as tidings:
        there = pages_of(tidings, tidings.worker([]))

    assert re.findall(r"^\| `(/\w+)` \|", PAGE, re.MULTILINE) == list(there)
