"""Which files are pages of the site, where they stand there, and where their links lead."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OUTSIDE = ("*.md", "plugins/*/README.md", "deploy/README.md", "examples/*/README.md")
FILES = "_files"
"""Where files that are no pages stand, so that a page can offer them."""

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"\s*(```|~~~)")


class DeadLinkError(Exception):
    """A link leads to no file."""


def places(root: Path) -> dict[Path, PurePosixPath]:
    """Return where each page stands on the site."""
    outside = [path for pattern in OUTSIDE for path in root.glob(pattern)]
    found = sorted([*root.glob("docs/**/*.md"), *outside, root / "benchmarks" / "README.md"])
    return {path: _place(path.relative_to(root)) for path in found if path.is_file()}


def _place(path: Path) -> PurePosixPath:
    if path.parts[0] == "docs":
        inside = PurePosixPath(*path.parts[1:])
        return inside.with_name("index.md") if inside.name == "README.md" else inside
    if path == Path("README.md"):
        return PurePosixPath("readme.md")
    if path.name == "README.md":
        return PurePosixPath(f"{path.parent.as_posix()}.md")
    return PurePosixPath(path.name.lower())


def stage(root: Path, target: Path) -> None:
    """Write every page to ``target``, with links that fit there, and each file linked to."""
    shutil.rmtree(target, ignore_errors=True)
    pages = places(root)
    for source, place in pages.items():
        there = target / place
        there.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(_lines(source, root, pages, target))
        there.write_text(text, encoding="utf-8")


def _lines(
    source: Path, root: Path, pages: Mapping[Path, PurePosixPath], target: Path
) -> Iterator[str]:
    in_fence = False
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(True), 1):
        if _FENCE.match(line):
            in_fence = not in_fence
        if in_fence:
            yield line
            continue

        def replaced(link: re.Match[str], number: int = number) -> str:
            try:
                return _link(link[1], source, root, pages, target)
            except FileNotFoundError:
                where = f"{source.relative_to(root)}:{number}"
                raise DeadLinkError(f"{where}: the link {link[1]} leads nowhere") from None

        yield _LINK.sub(replaced, line)


def _link(
    link: str, source: Path, root: Path, pages: Mapping[Path, PurePosixPath], target: Path
) -> str:
    """Return what stands behind the link's text, its closing bracket included."""
    path, _, anchor = link.partition("#")
    if not path or "://" in link or link.startswith("mailto:"):
        return f"]({link})"
    leads_to = (source.parent / path).resolve(strict=True)
    page = pages.get(leads_to) or pages.get(leads_to / "README.md")
    if page is None and leads_to.is_dir():
        return f']{{.in-repository title="in the repository: {leads_to.relative_to(root)}"}}'
    if page is None:
        page = PurePosixPath(FILES) / leads_to.relative_to(root).as_posix()
        (target / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(leads_to, target / page)
    relative = os.path.relpath(page, pages[source].parent)
    return f"]({relative}{'#' + anchor if anchor else ''})"
