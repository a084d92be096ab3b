"""That every word of the glossary is somewhere in the code."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

import pytest
from sqlalchemy import MetaData

from tests.docs.pages import ROOT, codes, rows, text_of
from tidings.config import Configuration
from tidings.sql import metadata
from tidings.sql.outbox.table import outbox_table
from tidings_activemq.settings import ActiveMQSettings
from tidings_rabbitmq.settings import RabbitMQSettings
from tidings_zeromq.settings import ZeroMQSettings

PAGE = text_of(ROOT / "docs" / "glossary.md")
ENTRIES = {row[0]: row[-1] for row in rows(PAGE) if row[0] != "word"}
TABLES = {**metadata.tables, "outbox": outbox_table(metadata=MetaData())}
SCHEMA = json.loads((ROOT / "docs" / "tidings.schema.json").read_text(encoding="utf-8"))


def resolve(name: str) -> Any:
    """Return what a dotted name leads to: a module, and attributes from there."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            annotated = getattr(found, "__annotations__", {})
            found = annotated[part] if part in annotated else getattr(found, part)
        return found
    raise LookupError(name)


def is_setting(name: str) -> bool:
    of_backends = (RabbitMQSettings, ActiveMQSettings, ZeroMQSettings)
    of_file = [definition.get("properties", {}) for definition in SCHEMA["$defs"].values()]
    return any(name in each.model_fields for each in of_backends) or any(name in f for f in of_file)


def is_column(name: str) -> bool:
    table, _, column = name.partition(".")
    return column in TABLES[table].columns


def is_table(name: str) -> bool:
    if name.startswith("["):
        return name.strip("[]") in Configuration.model_fields
    return name in TABLES


@pytest.mark.parametrize("word", ENTRIES)
def test_a_word_is_where_the_glossary_says(word: str) -> None:
    entry = ENTRIES[word]
    places = re.findall(r"(?:(setting|column|table) )?`([^`]+)`", entry)
    assert places
    for kind, name in places:
        if kind == "setting":
            assert is_setting(name), f"no setting is called {name}"
        elif kind == "column":
            assert is_column(name), f"there is no column {name}"
        elif kind == "table":
            assert is_table(name), f"there is no table {name}"
        else:
            resolve(name)


def test_the_words_stand_in_alphabetical_order_and_once() -> None:
    words = list(ENTRIES)
    assert words == sorted(set(words))
    assert len(words) >= 20
    assert len(words) == len(rows(PAGE)) - 1


@pytest.mark.parametrize(
    "word",
    ["transient", "at-least-once", "transactional outbox", "poll", "window", "hold", "lease"],
)
def test_the_fields_own_words_are_there(word: str) -> None:
    assert word in ENTRIES


def test_what_is_no_place_is_found() -> None:
    assert not is_setting("no_such_setting")
    assert not is_table("[no_such_table]")
    with pytest.raises(AttributeError):
        resolve("tidings.interfaces.Lease.no_such_field")
    assert codes("`a` and `b`") == ["a", "b"]
