"""Which libraries pyproject.toml names, and their lowest versions as pip's constraints."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BOUND = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,]+\])?>=(?P<version>[\w.]+)")
NOT_OURS = {"dev", "docs", "release"}
"""Extras whose libraries only our own tests and pages use."""


def constraints(pyproject: Path) -> list[str]:
    """Return `name==lowest` for each dependency of tidings and of its extras.

    Raises `ValueError` if one has no lower bound.
    """
    return sorted(f"{name}=={version}" for name, version in _bounds(pyproject))


def libraries(pyproject: Path) -> list[str]:
    """Return the name of each dependency of tidings and of its extras."""
    return sorted({name for name, _ in _bounds(pyproject)}, key=str.lower)


def _bounds(pyproject: Path) -> set[tuple[str, str]]:
    project = tomllib.loads(pyproject.read_text())["project"]
    declared = list(project["dependencies"])
    for extra, needs in project["optional-dependencies"].items():
        if extra not in NOT_OURS:
            declared += [need for need in needs if not need.startswith(f"{project['name']}[")]
    bounds = set()
    for need in declared:
        bound = _BOUND.fullmatch(need)
        if bound is None:
            raise ValueError(f"{need!r} in pyproject.toml has no lower bound")
        bounds.add((bound["name"], bound["version"]))
    return bounds
