"""docs/reference/errors.md: every error, and every sentence that the code can say with it."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.reference.docstrings import WRITTEN, in_a_cell, markdown

from tidings import errors
from tidings.errors import TidingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]

HEAD = """\
# Errors

Every error is a sentence: what failed, on which exchange and event, and what to do. This page has
them all, so that the search finds the one you met; `…` stands for a name, a number or a server's
own words. What needs more than a sentence stands in [If you see …](../troubleshooting.md).

{written}

A transient error is tried again soon, for it may go by itself. The others are tried again too, with
growing pauses, because somebody may mend the cause meanwhile.

```text
{tree}
```
"""

_SEVERAL = re.compile("…+")
_TO_FILL_IN = re.compile(r"\{\w+\}")

SHORTEST = 15
"""Letters of a sentence; less is a word inside one."""


def page() -> str:
    """Return the whole page."""
    found = _sentences()
    drawn = textwrap.dedent((errors.__doc__ or "").partition("::\n\n")[2].partition("\n\n")[0])
    lines = [HEAD.format(written=WRITTEN, tree=drawn)]
    for name, kind in _kinds().items():
        lines += _section(name, kind, sorted(found.get(name, ())))
    return "\n".join(lines)


def _kinds() -> Mapping[str, type[TidingsError]]:
    return {
        name: found
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, TidingsError)
    }


def _section(name: str, kind: type[TidingsError], sentences: Sequence[str]) -> Iterator[str]:
    yield f"## {name}\n"
    yield f"{markdown(inspect.getdoc(kind))} {_how_long(kind)}".rstrip() + "\n"
    for sentence in sentences:
        yield f"- {in_a_cell(sentence)}"
    if sentences:
        yield ""


def _how_long(kind: type[TidingsError]) -> str:
    if kind.final:
        return "*Final*: this process cannot go on."
    return "*Transient*: it is tried again soon." if kind.transient else ""


def _sentences() -> Mapping[str, set[str]]:
    """Return what is said with each error, wherever the code makes one."""
    names = set(_kinds())
    found: dict[str, set[str]] = {}
    for path in sorted([*ROOT.glob("core/tidings/**/*.py"), *ROOT.glob("plugins/**/*.py")]):
        if "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for kind, sentence in _said(node, names):
                found.setdefault(kind, set()).add(sentence)
    return found


def _said(node: ast.AST, names: set[str]) -> Iterator[tuple[str, str]]:
    """Give the error and the sentence of a call, of a tuple that has both, or of a class."""
    if isinstance(node, ast.ClassDef) and node.name in names:
        for call in (each for each in ast.walk(node) if isinstance(each, ast.Call)):
            if ast.unparse(call.func) == "super().__init__":
                yield from _with(node.name, call.args)
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in names:
        yield from _with(ast.unparse(node.func), node.args[:1])
    elif isinstance(node, ast.Call | ast.Tuple):
        parts = node.args if isinstance(node, ast.Call) else node.elts
        kinds = [part.id for part in parts if isinstance(part, ast.Name) and part.id in names]
        if len(kinds) == 1:
            texts = [text for part in parts if (text := _text(part))]
            yield from _long_enough(kinds[0], _diagnosis(texts))


def _diagnosis(texts: Sequence[str]) -> str:
    """Return what is so and what to do, as they are put together behind the broker's name."""
    whole = ". ".join(_TO_FILL_IN.sub("…", text).rstrip(".") for text in texts)
    return f"… {whole}." if whole[:1].islower() else f"{whole}." if whole else ""


def _with(kind: str, parts: Sequence[ast.expr]) -> Iterator[tuple[str, str]]:
    for part in parts:
        inner = part.elts if isinstance(part, ast.List) else [part]
        for each in inner:
            yield from _long_enough(kind, _text(each))


def _long_enough(kind: str, sentence: str) -> Iterator[tuple[str, str]]:
    if len(sentence) >= SHORTEST:
        yield kind, sentence


def _text(node: ast.expr) -> str:
    """Return a text as it is written, with `…` for what is filled in; empty if it is none."""
    if isinstance(node, ast.Constant):
        return str(node.value) if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return _SEVERAL.sub("…", "".join(_text(part) or "…" for part in node.values))
    return ""
