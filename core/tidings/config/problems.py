"""What is wrong with a configuration, as sentences."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pydantic import BaseModel, ValidationError

_BARE_KEY = re.compile("[A-Za-z0-9_-]+")
_AT_A_KEY = "[key]"


_WANTED = {
    "list_type": 'a list is wanted: ["one", "two"], by environment variable too',
    "dict_type": "a table is wanted",
    "model_type": "a table is wanted",
}


def explain(
    error: ValidationError,
    model: type[BaseModel],
    path: str = "",
    *,
    unset: Collection[str] = (),
) -> list[str]:
    """Return the problems that pydantic found as sentences with key paths and a did-you-mean.

    Nothing is said of ``unset`` keys, nor of what they may be the cause of.
    """
    sentences = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        location = [part for part in problem["loc"] if part != _AT_A_KEY]
        key = key_path(location, path)
        if any(_is_at_or_in(each, key) for each in unset):
            continue
        if problem["type"] == "extra_forbidden":
            hint = did_you_mean(str(location[-1]), _words_at(model, location[:-1]))
            sentences.append(f"{key}: unknown word.{hint}")
        elif problem["type"] == "missing":
            sentences.append(f"{key}: missing.")
        else:
            reason = _WANTED.get(problem["type"], problem["msg"])
            reason = reason.removeprefix("Value error, ").rstrip(".")
            sentences.append(f"{key or 'settings'}: {reason}.")
    return sentences


def _is_at_or_in(path: str, key: str) -> bool:
    return path == key or path.startswith((f"{key}.", f"{key}["))


def key_path(parts: Iterable[str | int], path: str = "") -> str:
    """Return the way to a key, below ``path``, as one would write it in TOML."""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            word = part if _BARE_KEY.fullmatch(part) else f'"{part}"'
            path += f".{word}" if path else word
    return path


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return a hint at the closest known word, else the list of them."""
    close = get_close_matches(word, known, n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known are: {', '.join(sorted(known))}." if known else ""


def _words_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Return the words that could stand at ``location`` below ``model``."""
    schema = model.model_json_schema()
    node: dict[str, Any] = schema
    for part in location:
        node = _resolve(schema, node)
        patterns = list(node.get("patternProperties", {}).values())
        node = (
            node.get("properties", {}).get(part)
            or (patterns[0] if patterns else None)
            or (node.get("items") if isinstance(part, int) else node.get("additionalProperties"))
            or {}
        )
    return list(_resolve(schema, node).get("properties", {}))


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for choice in [node, *node.get("anyOf", []), *node.get("allOf", [])]:
        if "$ref" in choice:
            found: dict[str, Any] = schema["$defs"][choice["$ref"].rpartition("/")[2]]
            return found
    return node
