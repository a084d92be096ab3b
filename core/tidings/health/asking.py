"""Asks a relay of this machine how it is, as an orchestrator would."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from tidings.errors import TidingsError

if TYPE_CHECKING:
    from tidings.config.address import ListenAddress

PATIENCE = 5.0
LARGEST_ANSWER = 1_000_000
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked, not listened at


def ask(address: ListenAddress, word: str) -> None:
    """Return if the relay that answers at ``address`` is ``word`` (``live``, ``ready``, …).

    Else raise :class:`~tidings.errors.TidingsError` that says which exchange isn't, and why.
    """
    path = {"live": "/livez", "ready": "/readyz", "started": "/startedz"}[word]
    connection = HTTPConnection(
        _HERE.get(address.host, address.host), address.port, timeout=PATIENCE
    )
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        said = answer.read(LARGEST_ANSWER)
    except (OSError, HTTPException) as error:
        raise TidingsError(f"No relay answers at {address}: {error}.") from error
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        raise TidingsError(f"The relay at {address} is not {word}: {_why(said, word)}.")


def _why(said: bytes, word: str) -> str:
    try:
        exchanges: dict[str, dict[str, Any]] = json.loads(said)["exchanges"]
        return "; ".join(
            f"{name} is {each['state']}" + (f" ({each['reason']})" if each["reason"] else "")
            for name, each in exchanges.items()
            if not each[word]
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return "what answers there is none"
