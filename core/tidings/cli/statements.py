"""SQL statements for people to read or run, as ``schema`` and ``migrate`` print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_END = ";\n\n"


def each_once(texts: Iterable[str]) -> list[str]:
    """Return the statements of ``texts`` in their order; several parts may need the same table."""
    found = {each: None for text in texts for each in text.rstrip(";\n").split(_END)}
    return [each for each in found if each.strip()]


def as_text(statements: Sequence[str]) -> str:
    """Return what is printed of one statement or more."""
    return f"{_END.join(statements)};"
