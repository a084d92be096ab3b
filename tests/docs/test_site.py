"""What `make docs` builds, of a repository with two pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scripts.site.__main__ import build
from scripts.site.versions import list_versions

from tests.docs.pages import text_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Give a repository with two pages."""
    docs = tmp_path / "repository" / "docs"
    docs.mkdir(parents=True)
    (docs / "README.md").write_text("# All\n\nPages.\n\n## How-to\n\n- [One](one.md): first\n")
    (docs / "one.md").write_text("# One\n\n## A part\n\nSee [the part](#a-part).\n")
    return docs.parent


def test_a_small_site_is_built(small: Path, tmp_path: Path) -> None:
    assert build(small, tmp_path / "site") == 0


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("[gone](gone.md)", "docs/one.md:7: the link gone.md leads nowhere"),
        ("[gone](../core)", "docs/one.md:7: the link ../core leads nowhere"),
        ("[gone](#no-such-part)", "no-such-part"),
        ("[gone](README.md#no-such-part)", "no-such-part"),
    ],
)
def test_a_dead_link_is_a_failure(
    small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], added: str, said: str
) -> None:
    with (small / "docs" / "one.md").open("a") as page:
        page.write(f"\n{added}\n")

    assert build(small, tmp_path / "site") != 0
    assert said in capfd.readouterr().err


def test_a_page_that_is_not_listed_is_a_failure(
    small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (small / "docs" / "two.md").write_text("# Two\n")

    assert build(small, tmp_path / "site") != 0
    assert "two.md: WARNING: document isn't included in any toctree" in capfd.readouterr().err


def test_a_link_in_an_example_stays_as_it_is(small: Path, tmp_path: Path) -> None:
    with (small / "docs" / "one.md").open("a") as page:
        page.write("\n```md\n[an example](gone.md)\n```\n")

    assert build(small, tmp_path / "site") == 0
    assert "[an example](gone.md)" in text_of(tmp_path / "site" / ".source" / "one.md")


def test_versions_are_listed_the_newest_first(tmp_path: Path) -> None:
    for name in ("0.9.0", "0.10.0", "0.10.0rc1", ".source"):
        (tmp_path / name).mkdir()

    assert list_versions(tmp_path) == ["0.10.0", "0.10.0rc1", "0.9.0"]
    assert 'url=0.10.0/index.html"' in text_of(tmp_path / "index.html")
    listed = text_of(tmp_path / "versions.js")
    assert listed == 'tidingsVersions(["0.10.0", "0.10.0rc1", "0.9.0"]);\n'
