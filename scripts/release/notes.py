"""The notes of a release, out of CHANGELOG.md."""

from __future__ import annotations

import re

from scripts.release.building import ReleaseError

_HEADING = re.compile(r"^## (?P<version>\S+) \((?P<when>[^)]+)\)\n", re.MULTILINE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def notes(changelog: str, version: str, *, draft: bool) -> str:
    """Return what the page says of that version. Only a draft may be unreleased."""
    for heading in _HEADING.finditer(changelog):
        if heading["version"] == version:
            if not draft and not _DATE.fullmatch(heading["when"]):
                raise ReleaseError(
                    f"CHANGELOG.md calls {version} {heading['when']}: write the day, YYYY-MM-DD."
                )
            text = changelog[heading.end() :].partition("\n## ")[0].strip()
            if not text:
                raise ReleaseError(f"CHANGELOG.md says nothing of {version}.")
            return f"# tidings {version}\n\n{text}\n"
    raise ReleaseError(f"CHANGELOG.md has no part '## {version} (YYYY-MM-DD)'.")
