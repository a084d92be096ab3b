"""Writes the reference's pages; with `--check` it only names those older than the code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.reference import commands, errors, metrics, plugins, python, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DOCS = Path(__file__).parents[2] / "docs"

PAGES: Mapping[str, Callable[[], str]] = {
    "plugin-reference.md": plugins.page,
    "reference/commands.md": commands.page,
    "reference/errors.md": errors.page,
    "reference/metrics.md": metrics.page,
    "reference/python.md": python.page,
    "reference/settings.md": settings.page,
}


def main() -> int:
    """Write the pages, or check them; return the exit code."""
    if sys.argv[1:] != ["--check"]:
        for name, page in PAGES.items():
            (DOCS / name).write_text(page(), encoding="utf-8")
        return 0
    old = [name for name, page in PAGES.items() if _text(DOCS / name) != page()]
    for name in old:
        sys.stderr.write(f"docs/{name} is older than the code: python -m scripts.reference\n")
    return 1 if old else 0


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
