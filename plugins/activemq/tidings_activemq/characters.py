r"""Which texts ActiveMQ can keep in a header, and how the others travel.

ActiveMQ stores headers, and gives them to JMS clients, in an encoding of its own that turns each
character above U+FFFF into two U+FFFD. Such a header therefore travels as JSON would write it in a
string. Each of those characters becomes a pair of ``\uXXXX``, and each backslash is doubled. The
header ``tidings-escaped``, a JSON list, names the headers for which that was done. ``metadata``,
if it is JSON, needs no such note: an escape within JSON means the character itself.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ESCAPED = "tidings-escaped"
"""The header that names the headers that are escaped."""

_JSON_HEADER = "metadata"
_ABOVE = re.compile("[\U00010000-\U0010ffff]")
_PAIR_OR_BACKSLASH = re.compile(r"\\(?:\\|u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2}))")


def has_characters_above(text: str) -> bool:
    """Say whether a character above U+FFFF is in ``text``. Next to nothing for ASCII."""
    return not text.isascii() and _ABOVE.search(text) is not None


def escaped(headers: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return headers that ActiveMQ can keep, and what :data:`ESCAPED` says of them: maybe nothing.

    ``ValueError`` if it is a header's name that it cannot keep.
    """
    kept: dict[str, str] = {}
    names = []
    for name, text in headers.items():
        if has_characters_above(name):
            raise ValueError(f"the header's name {name!r} has a character above U+FFFF")
        if not has_characters_above(text):
            kept[name] = text
        elif name == _JSON_HEADER and _is_json(text):
            kept[name] = _ABOVE.sub(_as_pair, text)
        else:
            kept[name] = _ABOVE.sub(_as_pair, text.replace("\\", "\\\\"))
            names.append(name)
    return kept, json.dumps(names) if names else ""


def unescaped(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers as they were before :func:`escaped`; nonsense stays as it is."""
    if ESCAPED not in headers:
        return headers
    try:
        names = json.loads(headers[ESCAPED])
    except (ValueError, RecursionError):
        return headers
    if not isinstance(names, list):
        return headers
    return {
        name: _PAIR_OR_BACKSLASH.sub(_as_character, text) if name in names else text
        for name, text in headers.items()
    }


def _as_pair(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]


def _as_character(found: re.Match[str]) -> str:
    if found[1] is None:
        return "\\"
    return chr(0x10000 + (int(found[1], 16) - 0xD800) * 0x400 + int(found[2], 16) - 0xDC00)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
