"""What a page answers with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from http import HTTPStatus


class PageAnswer(NamedTuple):
    """A page's answer."""

    status: HTTPStatus
    body: bytes
    content_type: str = "application/json"


Page: TypeAlias = Callable[[str], PageAnswer]
"""Makes the answer; told what the client accepts, as the header says it."""

Pages: TypeAlias = Mapping[str, Page]
"""By path."""


def as_json(status: HTTPStatus, value: Any) -> PageAnswer:
    """Return ``value`` as JSON, in which everything foreign is escaped."""
    return PageAnswer(
        status, f"{json.dumps(value, indent=2)}\n".replace("\x7f", "\\u007f").encode()
    )
