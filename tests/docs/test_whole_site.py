"""The site that `make docs` builds of all our pages."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from scripts.site.__main__ import build
from scripts.site.navigation import sections
from scripts.site.pages import places

from tests.docs.pages import ROOT, text_of
from tidings import __version__

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow  # it builds every page, as `make docs` does

LOADED = re.compile(r"<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of this version's pages."""
    folder = tmp_path_factory.mktemp("site")
    assert build(ROOT, folder) == 0
    return folder / __version__


def test_every_page_of_the_repository_is_on_the_site(site: Path) -> None:
    for place in places(ROOT).values():
        assert (site / place.with_suffix(".html")).is_file(), place


def test_a_page_loads_nothing_from_a_foreign_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    loaded = {found for page in pages for found in LOADED.findall(text_of(page))}
    styled = {found for each in site.rglob("*.css") for found in _addresses(text_of(each))}

    assert loaded
    assert [found for found in loaded | styled if re.match(r"(\w+:)?//", found)] == []


def _addresses(style: str) -> list[str]:
    return re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", style)


def test_a_word_is_found_by_the_sites_own_search(site: Path) -> None:
    index = text_of(site / "searchindex.js")
    assert '"quarantin":' in index
    assert (site / "search.html").is_file()


def test_each_page_says_of_which_kind_it_is(site: Path) -> None:
    for section in sections(text_of(ROOT / "docs" / "README.md")):
        for entry in section.entries:
            kind = f'<p class="kind">{section.title}</p>'
            path = (ROOT / "docs" / f"{entry.place}.md").resolve()
            page = site / places(ROOT)[path].with_suffix(".html")
            assert kind in text_of(page), entry.title
    assert '<p class="kind">Explanation</p>' in text_of(site / "decisions/0001-gaps-are-held.html")


def test_llms_txt_lists_the_text_of_every_page(site: Path) -> None:
    listed = re.findall(r"^- \[[^]]+\]\(([^)]+)\)", text_of(site / "llms.txt"), re.MULTILINE)

    assert len(listed) == len(set(listed))
    assert [link for link in listed if not (site / link).is_file()] == []
    shown = {PurePosixPath(link).name for link in listed}
    inside = {place.name for place in places(ROOT).values() if place.parts[0] != "decisions"}
    assert shown == {f"{name}.txt" for name in inside - {"index.md"}} | {"index.md.txt"}
    assert "# Guarantees\n" in text_of(site / "llms-full.txt")


def test_llms_txt_stands_also_where_it_is_looked_for(site: Path) -> None:
    listed = re.findall(r"^- \[[^]]+\]\(([^)]+)\)", text_of(site / "llms.txt"), re.MULTILINE)
    above = re.findall(r"\]\(([^)]+)\)", text_of(site.parent / "llms.txt"))

    assert above == [f"{__version__}/{link}" for link in listed]


def test_a_link_to_a_file_that_is_no_page_offers_the_file(site: Path) -> None:
    offered = re.findall(r'href="(_downloads/[^"]+)"', text_of(site / "operations.html"))

    assert any(name.endswith("tidings.service") for name in offered)
    assert all((site / name).is_file() for name in offered)
