"""That the pages for readers of the code name what is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT, codes, text_of

if TYPE_CHECKING:
    from pathlib import Path

HOW_IT_WORKS = ROOT / "docs" / "how-it-works.md"
DECISIONS = sorted(ROOT.glob("docs/decisions/0*.md"))
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
SOURCES = [*ROOT.glob("core/**/*.py"), *ROOT.glob("plugins/**/*.py")]
GONE = {"ExchangeRelay"}
"""Classes that a decision names because they were replaced."""


def found(path: str) -> Path | None:
    places = (ROOT / path, ROOT / "core" / "tidings" / path)
    return next((place for place in places if place.exists()), None)


def paths_of(page: Path) -> list[str]:
    """Return what looks like the path of a file or a folder of ours."""
    names = [name for name in codes(text_of(page)) if "NAME" not in name]
    return [name for name in names if re.fullmatch(r"[\w.-]+/([\w./-]+(/|\.\w+))?", name)]


def classes_of(page: Path) -> set[str]:
    """Return what looks like a class, or a member of one."""
    like_one = re.compile(r"(?:tidings\.[a-z_.]+)?(_?[A-Z][a-z]\w+)(?:\.\w+)?(?:\(.*\))?")
    matches = map(like_one.fullmatch, codes(text_of(page)))
    return {match[1] for match in matches if match is not None}


@cache
def our_classes() -> set[str]:
    trees = [ast.parse(text_of(path)) for path in SOURCES]
    return {
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }


@pytest.mark.parametrize("page", [HOW_IT_WORKS, CONTRIBUTING], ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = paths_of(page)
    assert len(named) > 10
    assert [path for path in named if found(path) is None] == []


@pytest.mark.parametrize("page", [HOW_IT_WORKS, *DECISIONS], ids=lambda page: page.name)
def test_every_class_that_a_page_names_is_there(page: Path) -> None:
    theirs = {"Publish", "AsyncSession", "None"} | GONE
    assert classes_of(page) - our_classes() - theirs == set()


def test_every_hop_of_an_events_way_has_a_file_and_names_something_in_it() -> None:
    hops = re.findall(r"^\| (\d+) \| .+? \| (.+?) \| (.+) \|$", text_of(HOW_IT_WORKS), re.MULTILINE)
    assert [int(number) for number, _, _ in hops] == list(range(1, len(hops) + 1))
    for _, file, what in hops:
        (path,) = codes(file)
        place = found(path)
        assert place is not None
        named = codes(what)
        assert not named or f" {named[0]}" in text_of(place), f"{path} has no {named[0]}"


def test_the_decisions_are_numbered_dated_and_listed() -> None:
    listed = text_of(ROOT / "docs" / "decisions" / "README.md")
    for number, page in enumerate(DECISIONS, 1):
        title, _, date = text_of(page).splitlines()[:3]
        assert page.name.startswith(f"{number:04}-")
        assert title.startswith(f"# {number}. ")
        dated = re.match(r"20\d\d-\d\d-\d\d", date)
        line = re.search(
            rf"^\| \[{number}\]\({page.name}\) .* \| ([\d-]+) \|$", listed, re.MULTILINE
        )
        assert dated
        assert line
        assert line[1] == dated[0]
