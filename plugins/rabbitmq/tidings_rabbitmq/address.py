"""Where a broker is, and who we are there: read from a URL without any broker's library."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import SecretStr
from typing_extensions import override

ENCODE = "a user or password that holds one of : / ? # @ % must be percent-encoded"


class Address(NamedTuple):
    """A broker's address. Its text form is for people and holds no password."""

    host: str
    port: int
    virtual_host: str
    user: str
    password: SecretStr
    tls: bool
    ip: str = ""
    """The one of the host's addresses to connect to, if it has been looked up."""

    @override
    def __str__(self) -> str:
        """Name the broker, the virtual host and the user."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port} (virtual host {self.virtual_host!r}, user {self.user!r})"


def parse_addresses(
    url: SecretStr, plain: tuple[str, int], tls: tuple[str, int]
) -> tuple[Address, ...]:
    """Return what ``url`` says; ``plain`` and ``tls`` are each a scheme and its usual port.

    Several hosts stand with commas between them, each perhaps with a port.
    Raises ``ValueError`` with a reason for a person that quotes nothing of the URL. A slip in it
    puts parts of the password where the host or the port should be.
    """
    try:
        scheme, colon, rest = url.get_secret_value().partition("://")
        authority = re.split("[/?#]", rest, maxsplit=1)[0]
        # Without the hosts: urlsplit() takes brackets around the only one.
        parts = urlsplit(f"{scheme}{colon}{rest[len(authority) :]}")
        login, at, hosts = authority.rpartition("@")
        places = [urlsplit(f"//{login}{at}{host}") for host in hosts.split(",")]
    except ValueError:
        raise ValueError(f"not a URL; {ENCODE}") from None
    if parts.scheme not in (plain[0], tls[0]):
        raise ValueError(f"must begin with {plain[0]}:// or {tls[0]}://")
    if not all(place.hostname for place in places):
        raise ValueError(f"names no host: {plain[0]}://user:password@host:{plain[1]}/")
    if parts.query or parts.fragment:
        raise ValueError(
            f"has a part after ? or #; options are settings of their own, and {ENCODE}"
        )
    with_tls = parts.scheme == tls[0]
    return tuple(
        Address(
            host=place.hostname or "",
            port=_port(place) or (tls[1] if with_tls else plain[1]),
            virtual_host=_virtual_host(parts),
            user=unquote(place.username) if place.username else "guest",
            password=SecretStr("guest" if place.password is None else unquote(place.password)),
            tls=with_tls,
        )
        for place in places
    )


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        raise ValueError(f"has a port that is not a number up to 65535; {ENCODE}") from None


def _virtual_host(parts: SplitResult) -> str:
    name = parts.path.removeprefix("/")
    if "/" in name:
        raise ValueError("has a virtual host with a / in it; write it as %2F")
    return unquote(name) or "/"
