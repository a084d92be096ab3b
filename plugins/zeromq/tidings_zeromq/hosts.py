"""Which version of IP leads to an address."""

from __future__ import annotations

import socket


def host_of(address: str) -> str | None:
    """Return the host in a ``tcp://`` address; ``None`` if it is of another kind."""
    if not address.startswith("tcp://"):
        return None
    return address.removeprefix("tcp://").rpartition(":")[0].strip("[]")


def ipv6_choices(address: str) -> list[bool]:
    """Return whether a socket may need IPv6 to connect there: what to try, in turn.

    IPv4 comes first if the host has both. Raises ``OSError`` if its name is not known, or cannot
    be looked up.
    """
    host = host_of(address)
    if host is None:
        return [False]
    found = {each[0] for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    choices = [
        ipv6
        for ipv6, family in ((False, socket.AF_INET), (True, socket.AF_INET6))
        if family in found
    ]
    return choices or [False]


def lookup_failure(address: str, error: OSError) -> str:
    """Return half a sentence on what :func:`ipv6_choices` has raised."""
    # Of a name that nobody knows it is a gaierror; else the machine could not ask.
    what = "is not known" if isinstance(error, socket.gaierror) else "cannot be looked up"
    return f"the host of {address} {what} ({error.strerror})"


def ipv6_to_bind(address: str) -> bool:
    """Return whether a socket needs IPv6 to listen there: for ``*``, which is both, it does."""
    if host_of(address) == "*":
        return True
    try:
        return ipv6_choices(address) == [True]
    except OSError:
        return False  # the name of an interface, or nobody's, which binding tells
