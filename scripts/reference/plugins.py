"""docs/plugin-reference.md: what `tidings.plugins` and `tidings.testing` offer to authors."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING, get_args

from scripts.reference.docstrings import WRITTEN, class_lines, class_tree, doc_below, markdown

import tidings.event
import tidings.plugins
import tidings.testing
from tidings.errors import TidingsError
from tidings.plugins import collection, hookspecs, specs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEAD = """\
# Plugin reference

Everything that `tidings.plugins` and `tidings.testing` offer to authors, from the code itself. How
to begin: [Write a plugin](write-a-plugin.md). {written}
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


def page() -> str:
    """Return the whole page."""
    names = [name for name in tidings.plugins.__all__ if inspect.isclass(_object(name))]
    errors = [name for name in names if issubclass(_object(name), TidingsError)]
    specs = [kind.__name__ for kind in collection.HOOKS]
    data = [n for n in names if n not in {*errors, *specs, *INTERFACES, *OFFERING}]
    return "\n".join(
        [
            HEAD.format(written=WRITTEN),
            *_section("Hooks", _hooks()),
            *_section("Specs", [*class_lines(_object("Spec")), *_classes(specs)]),
            *_section("Beside the specs", _classes(OFFERING)),
            *_section("Interfaces", _classes(INTERFACES)),
            *_section("What they pass around", _classes(data)),
            *_section("Functions, numbers and words", [*_functions(), *_numbers(), *_states()]),
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
        lines.append(f"| `{hook}()` | `{kind.__name__}` | {markdown(doc)} |")
    return [*lines, ""]


def _classes(names: Sequence[str]) -> list[str]:
    return [line for name in names for line in class_lines(_object(name))]


def _errors(names: Sequence[str]) -> list[str]:
    lines = ["| error, and what it is made with | below | |", "|---|---|---|"]
    for name in names:
        kind = _object(name)
        doc = " ".join((inspect.getdoc(kind) or "").split())
        made = f"{name}{_arguments(kind)}"
        lines.append(f"| `{made}` | `{kind.__mro__[1].__name__}` | {markdown(doc)} |")
    return [*lines, ""]


def _arguments(kind: type) -> str:
    if not any("__init__" in vars(each) for each in kind.__mro__ if issubclass(each, TidingsError)):
        return "(message: str)"  # as of every exception
    made = str(inspect.signature(kind)).partition(" -> ")[0]
    return made.replace("'", "").replace("|", "\\|")


def _functions() -> Iterator[str]:
    for name in tidings.plugins.__all__:
        found: object = getattr(tidings.plugins, name)
        if inspect.isfunction(found):
            made = str(inspect.signature(found)).replace("'", "")
            yield f"- `{name}{made}`  "
            yield textwrap.indent(markdown(inspect.getdoc(found)), "  ", lambda _line: True)


def _numbers() -> Iterator[str]:
    for module in (tidings.event, specs):
        body = ast.parse(inspect.getsource(module)).body
        for place, node in enumerate(body):
            name = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
            if name in tidings.plugins.__all__ and isinstance(getattr(module, name), int):
                yield f"- `{name} = {getattr(module, name)}`{doc_below(body, place)}"


def _states() -> Iterator[str]:
    words = ", ".join(f"`{word}`" for word in get_args(tidings.plugins.ExchangeState))
    yield f"- `ExchangeState`: one of {words}  "
    yield "  The [glossary](glossary.md#states-of-an-exchange) says what each means."
    yield ""


def _suites() -> list[str]:
    lines = [
        "From `tidings.testing`; [the tests](write-a-plugin.md#8-the-tests) shows one at work.\n"
    ]
    for name in tidings.testing.__all__:
        if name.endswith("Contract"):
            suite = getattr(tidings.testing, name)
            lines += [f"### {name}\n", markdown(inspect.getdoc(suite)), ""]
            lines += ["Fixtures:\n", *_fixtures(suite), ""]
    return lines


def _fixtures(suite: type) -> Iterator[str]:
    for kind in suite.__mro__[:-1]:
        for node in class_tree(kind).body:
            doc = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
            if isinstance(node, ast.FunctionDef) and doc and doc.startswith("Supply"):
                yield f"- `{node.name}`: {markdown(doc)}"


def _object(name: str) -> type:
    found: type = getattr(tidings.plugins, name, None) or getattr(tidings.plugins.specs, name)
    return found
