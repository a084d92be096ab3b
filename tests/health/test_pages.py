"""What observers show over HTTP, whatever they do."""

from __future__ import annotations

import json
import re
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING

from typing_extensions import override

from tests.docs.rights import PAGE
from tidings import Observer, Tidings
from tidings.health.looking import Looking
from tidings.health.pages import MOST_SCRAPES, metrics, pages_of, status_page
from tidings.plugins import Exposition
from tidings.relay.observers import Observers
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

    answer = status_page(Looking(look, "The event store"))

    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert json.loads(answer.body)["error"].startswith("KeyError: ")


def test_the_operators_page_names_every_path(tmp_path: Path) -> None:
    file = tmp_path / "tidings.toml"
    file.write_text('[event_store]\nbackend = "memory"\n[exchanges.x]\nproducer = "jsonlines"\n')
    with Tidings.from_file(file, environ={}) as tidings:
        there = pages_of(tidings, tidings.worker([]))

    assert re.findall(r"^\| `(/\w+)` \|", PAGE, re.MULTILINE) == list(there)
