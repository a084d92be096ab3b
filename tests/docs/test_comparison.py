"""Each answer of the page that compares has its source, at a commit that the page names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "comparison.md"
QUESTIONS = 7
LINK = re.compile(r"\]\(([^)]+)\)")
LINES = re.compile(
    r"https://github\.com/([^/]+/[^/]+)/blob/([0-9a-f]{40})/[^#]+#L(\d+)(?:-L(\d+))?"
)
TREE = re.compile(r"https://github\.com/([^/]+/[^/]+)/tree/([0-9a-f]{40})")


class Answer(NamedTuple):
    """One row below one question."""

    question: str
    who: str
    what: str
    source: str


def rows(text: str) -> Iterator[list[str]]:
    """Give the cells of each row of the tables, without their heads."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells and not re.fullmatch(r"[- ]*", cells[0]):
            yield cells


def parts() -> dict[str, str]:
    """Return the page's text by heading."""
    pieces = re.split(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {"": pieces[0]} | dict(zip(pieces[1::2], pieces[2::2], strict=True))


def compared() -> dict[str, list[tuple[str, str]]]:
    """Return the repositories and commits at which each project was read."""
    return {
        cells[0]: TREE.findall(cells[2]) for cells in rows(parts()[""]) if cells[0] != "project"
    }


ANSWERS = [
    Answer(question, *cells)
    for question, text in parts().items()
    if question
    for cells in rows(text)
]


def test_each_question_has_an_answer_of_everybody() -> None:
    everybody = ["tidings", *compared()]

    by_question: dict[str, list[str]] = {}
    for answer in ANSWERS:
        by_question.setdefault(answer.question, []).append(answer.who)
    assert list(by_question.values()) == [everybody] * QUESTIONS


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda each: f"{each.question} {each.who}")
def test_an_answer_has_its_source(answer: Answer) -> None:
    links = LINK.findall(answer.source)

    assert answer.what
    assert links
    if answer.who == "tidings":
        assert all((PAGE.parent / link.partition("#")[0]).exists() for link in links)
        return
    read_at = compared()[answer.who]
    for link in links:
        found = LINES.fullmatch(link)
        assert found, link
        assert found.groups()[:2] in read_at
        first, last = int(found[3]), int(found[4] or found[3])
        assert 0 < first <= last


def test_what_a_projects_own_words_do_not_say_is_marked() -> None:
    unsure = [each for each in ANSWERS if "not found" in each.what.lower()]

    assert unsure
    assert all(each.who != "tidings" for each in unsure)
    assert "no more" in parts()[""], "what 'not found' means stands above"
