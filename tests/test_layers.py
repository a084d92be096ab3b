"""Who may import whom: the folders are layers, and what stands lower knows nothing of the rest."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core" / "tidings"
PACKAGES = [CORE, *sorted(ROOT.glob("plugins/*/tidings_*"))]

# What each folder, or module, of the core may import of the others. `tidings` itself hands out
# names lazily, and `cli` and `demo` stand above everything.
ALLOWED = {
    "errors": set[str](),
    "blame": {"errors"},
    "event": {"errors"},
    "shown": set[str](),
    "version": set[str](),
    "defaults": set[str](),
    "standard_output": set[str](),
    "interfaces": {"errors", "event"},
    "routing": {"event", "interfaces"},
    "config": {"defaults", "errors", "routing"},
    "relay": {"blame", "defaults", "errors", "event", "interfaces", "routing", "shown"},
    "plugins": {
        "blame",
        "builtin",
        "config",
        "errors",
        "event",
        "interfaces",
        "routing",
        "shown",
        "version",
    },
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
    "operations": {
        "blame",
        "bootstrap",
        "config",
        "errors",
        "event",
        "interfaces",
        "relay",
        "shown",
    },
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


class Imports(ast.NodeVisitor):
    """Collects what a module imports: at once, in a function, or for its types alone."""

    def __init__(self, tree: ast.Module, modules: Container[str]) -> None:
        self.needs: set[str] = set()
        self._modules = modules
        self.visit(tree)

    @override
    def visit_Import(self, node: ast.Import) -> None:
        self.needs.update(alias.name for alias in node.names if alias.name in self._modules)

    @override
    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            found = [f"{node.module}.{alias.name}", f"{node.module}"]
            self.needs.update([name for name in found if name in self._modules][:1])


def needs_of_modules(package: Path) -> dict[str, set[str]]:
    """Return which modules of a package each of them imports."""
    trees: dict[str, ast.Module] = {}
    for file in package.rglob("*.py"):
        if "plugin_template" not in file.parts:
            name = ".".join(file.relative_to(package.parent).with_suffix("").parts)
            trees[name.removesuffix(".__init__")] = ast.parse(file.read_text(encoding="utf-8"))
    return {name: Imports(tree, trees).needs for name, tree in trees.items()}


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


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_no_module_needs_one_that_needs_it(package: Path) -> None:
    needs = needs_of_modules(package)

    assert any(needs.values())
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(f"in a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize(
    "line",
    [
        "def bill():\n    from shop import orders\n",
        "if TYPE_CHECKING:\n    from shop import orders\n",
        "import shop.orders\n",
    ],
)
def test_an_import_within_a_function_or_for_types_closes_a_circle_too(
    tmp_path: Path, line: str
) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "orders.py").write_text("from shop.bills import Bill\n")
    (package / "bills.py").write_text("def f():\n    import shop\n")
    TopologicalSorter(needs_of_modules(package)).prepare()

    (package / "bills.py").write_text(line)
    with pytest.raises(CycleError, match=r"shop\.orders"):
        TopologicalSorter(needs_of_modules(package)).prepare()


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
