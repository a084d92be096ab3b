"""The links of the pages that lead to a heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", ["python.md", "operations.md"])
def test_every_link_to_a_heading_leads_to_one(page: str) -> None:
    links = re.findall(r"\]\(([^)#]*)#([^)]+)\)", (DOCS / page).read_text(encoding="utf-8"))
    assert links
    for path, anchor in links:
        assert anchor in anchors(DOCS / (path or page)), f"{path}#{anchor}"
