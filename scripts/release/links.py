"""The README's links, as they work where there is no repository around it: on an index."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from scripts.release.building import ReleaseError

if TYPE_CHECKING:
    from pathlib import Path

_RELATIVE = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)(?=[^)\s]+\))")


def repository(root: Path, *, draft: bool) -> str | None:
    """Return the repository's address, as pyproject.toml names it; a draft may have none."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address: str | None = project.get("urls", {}).get("Repository")
    if address is None and not draft:
        raise ReleaseError(
            "pyproject.toml names no repository, so the README's links would lead nowhere on an "
            "index. Write it there: [project.urls], Repository = "
            '"https://HOST/OWNER/tidings".'
        )
    return address and address.rstrip("/")


def absolute(readme: str, address: str, version: str) -> str:
    """Return the page with links into the repository, to what that version has there."""
    return _RELATIVE.sub(f"{address}/blob/v{version}/", readme)
