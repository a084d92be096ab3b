"""The plugins that are installed, and whose they are."""

from __future__ import annotations

import importlib.metadata
import re
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from tidings.plugins.hookspecs import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import Distribution, EntryPoint


class Origin(NamedTuple):
    """The distribution that a plugin comes from."""

    distribution: str
    version: str

    @override
    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


def installed_entry_points() -> Iterable[EntryPoint]:
    """Return every entry point of tidings' group, importing none."""
    return importlib.metadata.entry_points(group=GROUP)


def origin_of(entry_point: EntryPoint) -> Origin:
    """Return where the entry point comes from, however little its distribution says."""
    dist = entry_point.dist
    if dist is None:
        return Origin("an unknown distribution", "")
    try:
        return Origin(dist.metadata["Name"] or _folder_name(dist), dist.metadata["Version"] or "")
    except Exception:  # noqa: BLE001 - Python's releases differ in what they raise without METADATA
        return Origin(_folder_name(dist), "")


def same_distribution(name: str) -> str:
    """Return a distribution's name in the form in which equal ones are equal."""
    return re.sub("[-_.]+", "-", name).lower()


def _folder_name(dist: Distribution) -> str:
    path = getattr(dist, "_path", None)  # the one thing that is left to name it by
    return str(path.name) if path is not None else "an unknown distribution"
