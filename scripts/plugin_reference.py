"""Writes docs/plugin-reference.md from the code; `--check` only says whether it is up to date."""  # noqa: INP001 - a script

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import tidings.event
import tidings.plugins
import tidings.testing
from tidings.errors import TidingsError
from tidings.plugins import collection, hookspecs, specs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = Path(__file__).parents[1] / "docs" / "plugin-reference.md"

HEAD = """\
# Plugin reference

Everything that `tidings.plugins` and `tidings.testing` offer to authors, from the code itself. How
to begin: [Write a plugin](write-a-plugin.md). (Written by `scripts/plugin_reference.py`; a test
sees that it is up to date.)
"""

HOOKS = """\
Entry-point group `{group}`; interface number `API = {api}`. A plugin's module has any of these
functions, each marked with `hookimpl`:

| hook | returns an iterable of | |
|---|---|---|"""

INTERFACES = (
    "MessageProducer",
    "OpenExchange",
    "MessageConsumer",
    "EventStore",
    "PublishedMessageTracker",
    "Quarantine",
    "Journal",
    "Pauses",
    "Serializer",
    "Observer",
)
OFFERING = ("Settings", "Capability", "ProducerContext", "ExchangeContext")

FIELD = ast.AnnAssign | ast.Assign


def page() -> str:
    """Return the whole page."""
    names = [name for name in tidings.plugins.__all__ if inspect.isclass(_object(name))]
    errors = [name for name in names if issubclass(_object(name), TidingsError)]
    specs = [kind.__name__ for kind in collection.HOOKS]
    data = [n for n in names if n not in {*errors, *specs, *INTERFACES, *OFFERING}]
    return "\n".join(
        [
            HEAD,
            *_section("Hooks", _hooks()),
            *_section("Specs", [*_class("Spec"), *_classes(specs)]),
            *_section("Beside the specs", _classes(OFFERING)),
            *_section("Interfaces", _classes(INTERFACES)),
            *_section("What they pass around", _classes(data)),
            *_section("Functions and numbers", [*_functions(), *_numbers()]),
            *_section("Errors", _errors(errors)),
            *_section("Suites", _suites()),
        ]
    )


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"## {title}\n"
    yield from lines


def _hooks() -> list[str]:
    lines = [HOOKS.format(group=hookspecs.GROUP, api=tidings.plugins.API)]
    for kind, hook in collection.HOOKS.items():
        doc = inspect.getdoc(getattr(hookspecs, hook))
        lines.append(f"| `{hook}()` | `{kind.__name__}` | {_markdown(doc)} |")
    return [*lines, ""]


def _classes(names: Sequence[str]) -> list[str]:
    return [line for name in names for line in _class(name)]


def _class(name: str) -> Iterator[str]:
    tree = _tree(_object(name))
    yield f"### {name}\n"
    yield _markdown(inspect.cleandoc(ast.get_docstring(tree) or "")) + "\n"
    for place, node in enumerate(tree.body):
        if isinstance(node, FIELD) and (line := _field(node)):
            yield f"- {line}{_doc_below(tree.body, place)}"
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield from _method(node)
    yield ""


def _field(node: FIELD) -> str:
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    name = ast.unparse(target)
    if name == "model_config" or name.startswith("_"):
        return ""
    kind = f": {ast.unparse(node.annotation)}" if isinstance(node, ast.AnnAssign) else ""
    value = "" if node.value is None else f" = {_short(ast.unparse(node.value))}"
    return f"`{name}{kind}{value}`"


def _doc_below(body: Sequence[ast.stmt], place: int) -> str:
    after = body[place + 1] if place + 1 < len(body) else None
    if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
        return ""
    return f"  \n  {_markdown(' '.join(str(after.value.value).split()))}"


def _method(node: ast.FunctionDef) -> Iterator[str]:
    marks = {ast.unparse(each) for each in node.decorator_list}
    arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    needed = " *(to be written)*" if "abstractmethod" in marks else ""
    called = node.name if "property" in marks else f"{node.name}({arguments})"
    yield f"- `{called}{returns}`{needed}  "
    yield textwrap.indent(_markdown(ast.get_docstring(node) or ""), "  ", lambda _line: True)


def _errors(names: Sequence[str]) -> list[str]:
    lines = ["| error, and what it is made with | below | |", "|---|---|---|"]
    for name in names:
        kind = _object(name)
        doc = " ".join((inspect.getdoc(kind) or "").split())
        made = f"{name}{_arguments(kind)}"
        lines.append(f"| `{made}` | `{kind.__mro__[1].__name__}` | {_markdown(doc)} |")
    return [*lines, ""]


def _arguments(kind: type) -> str:
    if not any("__init__" in vars(each) for each in kind.__mro__ if issubclass(each, TidingsError)):
        return "(message: str)"  # as of every exception
    made = str(inspect.signature(kind)).partition(" -> ")[0]
    return made.replace("'", "").replace("|", "\\|")


def _functions() -> Iterator[str]:
    for name in tidings.plugins.__all__:
        found: object = getattr(tidings.plugins, name)
        if inspect.isfunction(found) and name != "hookimpl":
            made = str(inspect.signature(found)).replace("'", "")
            yield f"- `{name}{made}`  "
            yield textwrap.indent(_markdown(inspect.getdoc(found)), "  ", lambda _line: True)


def _numbers() -> Iterator[str]:
    for module in (tidings.event, specs):
        body = ast.parse(inspect.getsource(module)).body
        for place, node in enumerate(body):
            name = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
            if name in tidings.plugins.__all__ and isinstance(getattr(module, name), int):
                yield f"- `{name} = {getattr(module, name)}`{_doc_below(body, place)}"
    yield ""


def _suites() -> list[str]:
    lines = [
        "From `tidings.testing`; [the tests](write-a-plugin.md#8-the-tests) shows one at work.\n"
    ]
    for name in tidings.testing.__all__:
        if name.endswith("Contract"):
            suite = getattr(tidings.testing, name)
            lines += [f"### {name}\n", _markdown(inspect.getdoc(suite)).replace("::\n", ":\n"), ""]
            lines += ["Fixtures:\n", *_fixtures(suite), ""]
    return lines


def _fixtures(suite: type) -> Iterator[str]:
    for kind in suite.__mro__[:-1]:
        for node in _tree(kind).body:
            doc = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
            if isinstance(node, ast.FunctionDef) and doc and doc.startswith("Supply"):
                yield f"- `{node.name}`: {_markdown(doc)}"


def _tree(kind: type) -> ast.ClassDef:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - for the type checker
    return tree


def _object(name: str) -> type:
    found: type = getattr(tidings.plugins, name, None) or getattr(tidings.plugins.specs, name)
    return found


def _short(text: str) -> str:
    return text if len(text) <= 40 else "…"  # noqa: PLR2004 - as much as reads well


def _markdown(text: str | None) -> str:
    text = re.sub(r":\w+:`(?:~[\w.]+\.)?([\w.]+)`", r"`\1`", text or "")
    return text.replace("``", "`")


def main() -> None:
    """Write the page, or check it."""
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit("docs/plugin-reference.md is older than the code: scripts/plugin_reference.py")


if __name__ == "__main__":
    main()
