"""The pages for authors say what the code says."""

from __future__ import annotations

import re

import pytest

from tests.examples.conftest import EXAMPLES
from tests.packaging.conftest import ROOT
from tidings.plugins import API

TUTORIAL = (ROOT / "docs" / "write-a-plugin.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:python|toml)\n(.*?)^```$", TUTORIAL, flags=re.MULTILINE | re.DOTALL)
SOURCES = [
    path.read_text(encoding="utf-8")
    for folder in (*EXAMPLES, ROOT / "tests" / "examples" / "snippets")
    for path in sorted(folder.rglob("*"))
    if path.suffix in {".py", ".toml", ".md"}
]


def test_the_tutorial_shows_code() -> None:
    assert len(BLOCKS) > 15


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n", 1)[0].strip())
def test_the_tutorial_shows_the_example_as_it_is(block: str) -> None:
    assert any(block in source for source in SOURCES), f"in no file of an example:\n{block}"


def test_the_tutorial_names_the_number_of_the_interface() -> None:
    assert f"`tidings.plugins.API` (now {API})" in TUTORIAL
    assert all(f"api={API}" in block for block in BLOCKS if "BackendSpec(\n" in block)


@pytest.mark.parametrize("page", ["write-a-plugin.md", "plugin-reference.md"])
def test_no_link_leads_nowhere(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}

    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        assert (ROOT / "docs" / path).exists(), link
        assert path or anchor in anchors, link
