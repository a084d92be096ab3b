"""An address to listen at, as it is written in a configuration."""

from __future__ import annotations

import re
from typing import NamedTuple

from typing_extensions import override

_ADDRESS = re.compile(r"(\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>\d{1,5})")
_LAST_PORT = 65535


class ListenAddress(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    @override
    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def address_of(text: str) -> ListenAddress:
    """Return the address that ``text`` means; ``ValueError`` if it is none."""
    found = _ADDRESS.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= _LAST_PORT:
        raise ValueError(
            'HOST:PORT is wanted: "127.0.0.1:9464" answers this machine alone, "0.0.0.0:9464" or '
            '"[::]:9464" all that can reach it'
        )
    return ListenAddress(found["ipv6"] or found["host"], int(found["port"]))


def check_address(text: str) -> str:
    """Return ``text`` if it is an address, else raise ``ValueError``."""
    return str(address_of(text))
