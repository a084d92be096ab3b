"""Several versions of the site beside each other, a folder each."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NUMBERS = re.compile(r"\d+(\.\d+)+")

_INDEX = """\
<!doctype html>
<meta charset="utf-8">
<title>tidings</title>
<meta http-equiv="refresh" content="0; url={newest}/index.html">
<a href="{newest}/index.html">tidings {newest}</a>
"""


def list_versions(site: Path) -> list[str]:
    """Write down which versions are there, the newest first, and lead visitors to that one.

    It is a script, not JSON: a page that is opened as a file may load nothing else.
    """
    names = [each.name for each in site.iterdir() if each.is_dir() and _NUMBERS.match(each.name)]
    names.sort(key=_by_number, reverse=True)
    (site / "versions.js").write_text(f"tidingsVersions({json.dumps(names)});\n", encoding="utf-8")
    (site / "index.html").write_text(_INDEX.format(newest=names[0]), encoding="utf-8")
    return names


def _by_number(name: str) -> tuple[list[int], bool, str]:
    """Order 0.10 behind 0.9, and a release behind its candidates."""
    numbers = _NUMBERS.match(name)
    said = numbers[0] if numbers else ""
    return [int(part) for part in said.split(".")], name == said, name
