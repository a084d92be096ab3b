"""Whether the wheel holds what it must, and nothing else."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from scripts.release.building import known_files

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDINGS = {".py", ".typed", ".template", ".toml", ".md"}
"""Of what a package may hold."""

METADATA = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")


def problems(wheel: Path, root: Path) -> Iterator[str]:
    """Say what is missing, what is there without need, and what no package should hold."""
    holds = set(zipfile.ZipFile(wheel).namelist())
    version = wheel.name.split("-")[1]
    wanted = {f"tidings-{version}.dist-info/{name}" for name in METADATA} | _of_packages(root)
    for name in sorted(wanted - holds):
        yield f"{name} is missing in the wheel"
    for name in sorted(holds - wanted):
        yield f"{name} is in the wheel, and git does not know it"
    for name in sorted(wanted):
        if ".dist-info/" not in name and PurePosixPath(name).suffix not in ENDINGS:
            yield f"{name} has an ending that no package of ours has: see ENDINGS"


def _of_packages(root: Path) -> set[str]:
    """Return the files of each package in pyproject.toml, as the wheel calls them."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    parents = {f"{package}/": str(Path(package).parent) for package in packages}
    return {
        PurePosixPath(name).relative_to(parent).as_posix()
        for name in known_files(root)
        for package, parent in parents.items()
        if name.startswith(package)
    }
