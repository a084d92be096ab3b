"""Docstrings and signatures, as Markdown."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WRITTEN = "(Written by `python -m scripts.reference`; a test sees that it is up to date.)"

FIELD = ast.AnnAssign | ast.Assign


def class_lines(kind: type) -> Iterator[str]:
    """Give a class: what it promises, its fields, and its methods that are no secret."""
    tree = class_tree(kind)
    yield f"### {kind.__name__}\n"
    yield markdown(inspect.cleandoc(ast.get_docstring(tree) or "")) + "\n"
    for place, node in enumerate(tree.body):
        if isinstance(node, FIELD) and (line := _field(node)):
            yield f"- {line}{doc_below(tree.body, place)}"
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


def doc_below(body: Sequence[ast.stmt], place: int) -> str:
    """Return the text that stands below a field, on a line of its own."""
    after = body[place + 1] if place + 1 < len(body) else None
    if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
        return ""
    return f"  \n  {markdown(' '.join(str(after.value.value).split()))}"


def _method(node: ast.FunctionDef) -> Iterator[str]:
    marks = {ast.unparse(each) for each in node.decorator_list}
    arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    needed = " *(to be written)*" if "abstractmethod" in marks else ""
    called = node.name if "property" in marks else f"{node.name}({arguments})"
    yield f"- `{called}{returns}`{needed}  "
    yield textwrap.indent(markdown(ast.get_docstring(node) or ""), "  ", lambda _line: True)


def class_tree(kind: type) -> ast.ClassDef:
    """Return the class as it is written."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - for the type checker
    return tree


def _short(text: str) -> str:
    return text if len(text) <= 40 else "…"  # noqa: PLR2004 - as much as reads well


def markdown(text: str | None) -> str:
    """Return a docstring's text in a page's words."""
    text = re.sub(r":\w+:`(?:~[\w.]+\.)?([\w.]+)`", r"`\1`", text or "")
    return _EXAMPLE.sub(_fenced, text).replace("``", "`").rstrip()


_EXAMPLE = re.compile(r"(^|[^\s:])::\n\n((?: {4}[^\n]*(?:\n|$)|\n)+)", re.MULTILINE)


def _fenced(example: re.Match[str]) -> str:
    lead = f"{example[1]}:\n\n" if example[1] else ""
    # Six marks are three when the double backticks of a docstring have become single ones.
    mark = "`" * 6
    return f"{lead}{mark}python\n{textwrap.dedent(example[2]).strip(chr(10))}\n{mark}\n\n"


def in_a_cell(text: str) -> str:
    """Return a text that is no Markdown, on one line. What stands between backticks is code."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:  # one of them is alone
        parts = ["\\`".join(parts)]
    prose = [re.sub(r"([|<*\\[\]_])", r"\\\1", part) for part in parts]
    prose[1::2] = [part.replace("|", "\\|") for part in parts[1::2]]
    return "`".join(prose)
