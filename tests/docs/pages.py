"""The pages for readers of the code, and what they name."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORGE = [ROOT / ".github" / "pull_request_template.md"]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md"), *FORGE]
)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def codes(text: str) -> list[str]:
    """Return what stands between backticks on a line of its own text, not in a block."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of a page's tables, headings left out."""
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [row for row in cells if not row[0].startswith("---")]
