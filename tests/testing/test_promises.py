"""What a failing suite quotes really stands in the interfaces."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from tidings import event
from tidings.interfaces import (
    capability,
    event_store,
    journal,
    lease,
    message_consumer,
    message_producer,
    notification,
    open_exchange,
    pause,
    published_message_tracker,
    quarantine,
    serializer,
)
from tidings.testing import promises

SOURCES = {
    "Producer": (message_producer, open_exchange, notification, capability),
    "Store": (event_store, event),
    "Tracker": (published_message_tracker, lease, event_store),
    "Quarantining": (quarantine, published_message_tracker),
    "Journaling": (journal, published_message_tracker),
    "Pausing": (pause,),
    "Serializing": (serializer,),
    "Consumer": (message_consumer,),
}
OF_THE_SUITES = {"Wire"}
"""What no interface says in one sentence."""

SENTENCES = [
    (kind, name, text)
    for kind in SOURCES
    for name, text in vars(getattr(promises, kind)).items()
    if name.isupper()
]


def plain(text: str) -> str:
    """Return text without markup, and with single spaces."""
    text = re.sub(r":\w+:`~?([^`]*)`", lambda role: role[1].rpartition(".")[2], text)
    return " ".join(re.sub(r"[`*]", "", text).split())


@pytest.mark.parametrize(("kind", "name", "text"), SENTENCES)
def test_a_quoted_promise_stands_in_the_interface(kind: str, name: str, text: str) -> None:
    source = plain("\n".join(inspect.getsource(module) for module in SOURCES[kind]))
    assert plain(text).rstrip(".") in source


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name, _ in SENTENCES])
def test_a_promise_is_quoted_by_a_suite(kind: str, name: str) -> None:
    suites = Path(inspect.getfile(promises)).parent.glob("*.py")

    assert any(re.search(rf"\b{kind}\.{name}\b", suite.read_text("utf-8")) for suite in suites)


def test_every_group_of_promises_is_looked_for_in_an_interface() -> None:
    groups = {name for name, group in vars(promises).items() if inspect.isclass(group)}

    assert groups == {*SOURCES, *OF_THE_SUITES}
