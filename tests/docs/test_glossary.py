"""That the glossary's words are in the code, and the modules of the big packages are named."""

from __future__ import annotations

import ast
import importlib
import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args

import pytest
from sqlalchemy import MetaData

from tests.docs.pages import ROOT, codes, rows, text_of
from tidings.config import Configuration
from tidings.interfaces import ExchangeState
from tidings.sql import metadata
from tidings.sql.outbox.table import outbox_table
from tidings.sql.settings import SqlAlchemySettings
from tidings_activemq.settings import ActiveMQSettings
from tidings_rabbitmq.settings import RabbitMQSettings
from tidings_zeromq.settings import ZeroMQSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PAGE = text_of(ROOT / "docs" / "glossary.md")
WORDS, _, STATES = PAGE.partition("\n## States of an exchange\n")
ENTRIES = {row[0]: row[-1] for row in rows(WORDS) if row[0] != "word"}
TABLES = {**metadata.tables, "outbox": outbox_table(metadata=MetaData())}
TOLD_BY = {
    "health": ["core/tidings/relay/pulse.py", "core/tidings/interfaces/failed_state.py"],
    "metrics": ["plugins/prometheus/tidings_prometheus/exchange.py"],
    "status": ["core/tidings/operations/state.py"],
}
"""In which files each of those who tell of a state has its words."""
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


def states_in(paths: Sequence[str]) -> set[str]:
    """Return the words for states that modules have, their docstrings left out."""
    nodes = [node for path in paths for node in ast.walk(ast.parse(text_of(ROOT / path)))]
    constants = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return {state for state in get_args(ExchangeState) if state in constants}


def boxes_of(text: str) -> set[str]:
    """Return what stands in the first line of each box that a diagram draws."""
    found: set[str] = set()
    for above, line in pairwise(text.splitlines()):
        for top in re.finditer("┌─+┐", above):
            inside = line[top.start() + 1 :].partition("│")[0]
            found.update(re.split(r", (?:or )?", inside.strip()))
    return found


def modules_named_in(package: Path) -> list[str]:
    """Return the modules that a package's docstring has in its table."""
    return re.findall(r"^``(\w+)``  ", text_of(package / "__init__.py"), re.MULTILINE)


def is_setting(name: str) -> bool:
    of_backends = (RabbitMQSettings, ActiveMQSettings, ZeroMQSettings, SqlAlchemySettings)
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
    assert len(words) == len(rows(WORDS)) - 1


def test_each_state_is_told_by_those_whom_the_glossary_names() -> None:
    table = {row[0].strip("`"): row[-1].split(", ") for row in rows(STATES) if row[0] != "state"}

    assert list(table) == list(get_args(ExchangeState))
    for teller, paths in TOLD_BY.items():
        told = {state for state, tellers in table.items() if teller in tellers}
        assert told == states_in(paths), f"what {teller} tells has changed"


def test_the_relays_diagram_has_a_box_for_each_state_that_metrics_tell_of() -> None:
    words = boxes_of(text_of(ROOT / "core" / "tidings" / "relay" / "__init__.py"))

    assert words == states_in(TOLD_BY["metrics"])


@pytest.mark.parametrize("name", ["relay", "sql"])
def test_a_big_package_names_each_of_its_modules_and_folders_once(name: str) -> None:
    package = ROOT / "core" / "tidings" / name
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    there = modules | {path.parent.name for path in package.glob("*/__init__.py")}

    assert sorted(modules_named_in(package)) == sorted(there)


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
