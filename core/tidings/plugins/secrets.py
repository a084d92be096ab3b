"""Keeps secrets out of what a plugin says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretBytes, SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterator

HIDDEN = "**********"


def without_secrets(text: str, settings: BaseModel) -> str:
    """Return ``text`` with every secret of ``settings`` hidden, and passwords within them too."""
    found = {part for secret in _secrets(settings) for part in _parts(secret) if part}
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, SecretBytes):
        yield value.get_secret_value().decode(errors="replace")
    elif isinstance(value, BaseModel):
        yield from _secrets([item for _, item in value])
    elif isinstance(value, dict):
        yield from _secrets(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _secrets(item)


def _parts(secret: str) -> Iterator[str]:
    yield secret
    yield repr(secret)[1:-1]
    if "://" not in secret:
        return
    try:
        password = urlsplit(secret).password
    except ValueError:
        # Not a URL after all; what stands where the password would is hidden all the same.
        password = secret.partition("://")[2].rpartition("@")[0].partition(":")[2]
    if password:
        yield password
        yield unquote(password)
