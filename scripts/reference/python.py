"""docs/reference/python.md: what applications import from `tidings` and `tidings.sql`."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from scripts.reference.docstrings import WRITTEN, class_lines, markdown

import tidings
import tidings.sql
from tidings.errors import TidingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEAD = """\
# Python API

What an application imports. How it is used: [From Python](../python.md),
[recording events](../event-store.md#recording-events), [consumers](../consumers.md). `tidings` also
has the interfaces that plugins implement: these stand in the [plugin
reference](../plugin-reference.md), with what their methods give and take. Its errors are
[a page of their own](errors.md).

{written}
"""

_MADE_BY_CODE = re.compile(r"= <[^<>]+>")

SQL = """\
## tidings.sql

Event store, tracker and tables in a SQL database.
"""


def page() -> str:
    """Return the whole page."""
    here = [name for name in tidings.__all__ if _is_for_applications(getattr(tidings, name))]
    memory = [name for name in here if name.startswith("InMemory")]
    rest = [name for name in here if name not in memory]
    sql = [name for name in tidings.sql.__all__ if name not in here]
    return "\n".join(
        [
            HEAD.format(written=WRITTEN),
            "## tidings\n",
            *_all(tidings, rest),
            "## In memory, for tests\n",
            *_all(tidings, memory),
            SQL,
            *_all(tidings.sql, sql),
        ]
    )


def _is_for_applications(found: object) -> bool:
    if inspect.isclass(found) and issubclass(found, TidingsError):
        return False
    return not getattr(found, "__module__", "").startswith("tidings.interfaces")


def _all(module: object, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        found = getattr(module, name)
        if inspect.isclass(found):
            heading, *rest = class_lines(found)
            yield heading
            yield from _made_with(found)
            yield from rest
        elif callable(found):
            yield f"### {name}\n"
            yield f"```python\n{name}{_signature(found)}\n```\n"
            yield f"{markdown(inspect.getdoc(found))}\n"


def _made_with(kind: type) -> Iterator[str]:
    if "__init__" in vars(kind) or hasattr(kind, "__dataclass_fields__"):
        signature = _signature(kind).removesuffix(" -> None")
        yield f"```python\n{kind.__name__}{signature}\n```\n"


def _signature(found: object) -> str:
    assert callable(found)  # noqa: S101 - for the type checker
    return _MADE_BY_CODE.sub("= …", str(inspect.signature(found))).replace("'", "")
