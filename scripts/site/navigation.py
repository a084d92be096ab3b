"""Reads docs/README.md, the list of all pages, and makes of it what the site and readers need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_HEADING = re.compile(r"^## (.+)$")
_ENTRY = re.compile(r"^- \[([^\]]+)\]\(([^)#]+)\.md\)(?:: (.*))?$")
_CHILD = re.compile(r"\]\(([\w-]+)\.md\)")


class Entry(NamedTuple):
    """A page, as the list has it."""

    title: str
    place: str
    """Without the ending."""
    says: str


class Section(NamedTuple):
    """Pages of one kind."""

    title: str
    entries: Sequence[Entry]


def sections(text: str) -> list[Section]:
    """Return what the list holds. An entry may go on over several lines."""
    found: list[Section] = []
    for line in re.sub(r"\n +(?=\S)", " ", text).splitlines():
        if heading := _HEADING.match(line):
            found.append(Section(heading[1], []))
        elif found and (entry := _ENTRY.match(line)):
            found[-1] = Section(
                found[-1].title, [*found[-1].entries, Entry(entry[1], entry[2], entry[3] or "")]
            )
    return [section for section in found if section.entries]


def add_trees(source: Path) -> None:
    """Tell Sphinx which page is below which: every ``index.md`` names those that it lists."""
    index = source / "index.md"
    trees = [_tree(each.title, each.entries) for each in sections(index.read_text("utf-8"))]
    _append(index, trees)
    for page in source.glob("*/index.md"):
        children = dict.fromkeys(_CHILD.findall(page.read_text("utf-8")))
        _append(page, [_tree("", [Entry("", child, "") for child in children])])


def _append(page: Path, trees: list[str]) -> None:
    page.write_text("\n".join([page.read_text("utf-8"), *trees]), encoding="utf-8")


def _tree(caption: str, entries: Sequence[Entry]) -> str:
    lines = [f"{entry.title} <{entry.place}>" if entry.title else entry.place for entry in entries]
    said = [f":caption: {caption}"] if caption else []
    return "\n".join(["```{toctree}", ":hidden:", *said, "", *lines, "```", ""])


def llms_txt(source: Path, version: str) -> str:
    """Return the list for language models: each page's Markdown, and what it says."""
    text = (source / "index.md").read_text("utf-8")
    _, summary, *_ = text.split("\n\n")
    lines = [f"# tidings {version}", "", f"> {' '.join(summary.split())}", ""]
    for section in sections(text):
        lines += [f"## {section.title}", ""]
        for entry in section.entries:
            says = f": {entry.says}" if entry.says else ""
            lines.append(f"- [{entry.title}](_sources/{entry.place}.md.txt){says}")
        lines.append("")
    return "\n".join(lines)


def from_above(llms_txt: str, folder: str) -> str:
    """Return the list as it must be beside the folder: at a site's root, where it is looked for."""
    return llms_txt.replace("](_sources/", f"]({folder}/_sources/")


def llms_full_txt(source: Path) -> str:
    """Return every page's text, one after another."""
    entries = [e for s in sections((source / "index.md").read_text("utf-8")) for e in s.entries]
    return "\n\n".join((source / f"{each.place}.md").read_text("utf-8") for each in entries)
