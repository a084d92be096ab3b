"""Who may import whom: the folders are layers, and what stands lower knows nothing of the rest."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core" / "tidings"

# What each folder, or module, of the core may import of the others. `tidings` itself hands out
# names lazily, and `cli` and `demo` stand above everything.
ALLOWED = {
    "errors": set[str](),
    "blame": {"errors"},
    "event": {"errors"},
    "shown": set[str](),
    "standard_output": set[str](),
    "interfaces": {"errors", "event"},
    "routing": {"event", "interfaces"},
    "config": {"errors", "routing"},
    "relay": {"blame", "errors", "event", "interfaces", "routing", "shown"},
    "plugins": {"blame", "builtin", "config", "errors", "event", "interfaces", "routing", "shown"},
    "sql": {"errors", "event", "interfaces", "plugins", "routing", "shown"},
    "builtin": {
        "errors",
        "event",
        "interfaces",
        "plugins",
        "routing",
        "shown",
        "sql",
        "standard_output",
    },
    "testing": {"errors", "event", "interfaces", "plugins"},
    "bootstrap": {"config", "errors", "interfaces", "plugins", "relay"},
    "operations": {"blame", "bootstrap", "errors", "event", "interfaces", "relay", "shown"},
    "health": {"blame", "bootstrap", "config", "errors", "operations", "relay", "shown"},
}
ABOVE = {"__init__", "__main__", "cli", "demo"}


def imported(file: Path) -> Iterator[str]:
    """Give the full name of every module that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            name = node.module or ""
            own = name == "tidings"  # from tidings import config
            yield from (f"{name}.{alias.name}" if own else name for alias in node.names)


def parts_of_the_core() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in CORE.rglob("*.py"):
        if "plugin_template" in file.parts:
            continue
        part = file.relative_to(CORE).parts[0].removesuffix(".py")
        names = {name.split(".")[1] for name in imported(file) if name.startswith("tidings.")}
        found.setdefault(part, set()).update(names - {part, "__version__"})
    return found


def test_every_part_of_the_core_imports_what_its_layer_may_and_nothing_else() -> None:
    found = {part: names for part, names in parts_of_the_core().items() if part not in ABOVE}

    assert found == ALLOWED, "a layer reaches up, or no longer needs what it is allowed"


@pytest.mark.parametrize("name", ["rabbitmq", "activemq", "zeromq", "prometheus", "opentelemetry"])
def test_a_backend_imports_of_the_core_what_any_plugin_may(name: str) -> None:
    package = f"tidings_{name}"
    files = list((ROOT / "plugins" / name / package).rglob("*.py"))

    foreign = {
        module
        for file in files
        for module in imported(file)
        if module.split(".")[0].startswith("tidings") and module.split(".")[0] != package
    }

    assert files
    assert foreign == {"tidings.plugins"}
