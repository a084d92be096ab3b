"""Each extra, installed into an environment of its own, and what is in it."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

from scripts.release.building import ReleaseError, run

from tidings import __version__

FOR_DEVELOPERS = {"dev", "docs", "release"}
"""Extras for those who have a checkout."""

BRINGS = {
    "rabbitmq": {"rabbitmq"},
    "rabbitmq-stream": {"rabbitmq-stream"},
    "activemq": {"activemq"},
    "zeromq": {"zeromq", "zeromq-pub"},
    "prometheus": {"prometheus"},
    "opentelemetry": {"opentelemetry"},
}
"""The backends that work with an extra, and not without it."""

LIBRARY = {
    "postgresql": "psycopg",
    "mysql": "pymysql",
    "alembic": "alembic",
    "async": "aiosqlite",
}
"""What an extra brings that is no backend."""


def extras(root: Path) -> list[str]:
    """Return the extras for users, in the order of pyproject.toml."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [name for name in project["optional-dependencies"] if name not in FOR_DEVELOPERS]


def environment(folder: Path, wheel: Path, *names: str) -> Path:
    """Make a virtual environment with the wheel and those extras; return its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    wanted = f"{wheel}[{','.join(names)}]" if names else str(wheel)
    run(*pip, "install", "--quiet", wanted)
    run(*pip, "check")
    return python


def try_extra(folder: Path, wheel: Path, name: str) -> None:
    """Raise if the extra does not install, or if what it brings does not work."""
    python = environment(folder, wheel, name)
    if library := LIBRARY.get(name):
        run(python, "-c", f"import {library}")
        return
    said = json.loads(run(python.with_name("tidings"), "plugins", "--json"))["plugins"]
    ready = {each["name"] for each in said if each["problem"] is None}
    own = set().union(*BRINGS.values())
    expected = own if name == "all" else BRINGS[name]
    if wrong := sorted((ready & own) ^ expected):
        raise ReleaseError(
            f"With tidings[{name}] these are ready and should not be, or the other way round: "
            f"{', '.join(wrong)}. `tidings plugins` says why; BRINGS says what should be."
        )


def write_sbom(folder: Path, wheel: Path, root: Path, target: Path) -> None:
    """Write what a user installs with every extra, as CycloneDX."""
    python = environment(folder, wheel, *extras(root))
    program = Path(sys.executable).with_name("cyclonedx-py")
    form = ("--output-reproducible", "--of", "JSON", "--mc-type", "library")
    project = ("--pyproject", root / "pyproject.toml")
    listed = json.loads(run(program, "environment", *form, *project, python))
    # It knows no version that pyproject.toml leaves to the build.
    listed["metadata"]["component"]["version"] = __version__
    target.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
