"""Servers that speak the protocol of a database, and keep ids and commits otherwise.

TiDB and YugabyteDB give each of their nodes ids of its own to hand out. So an event of one node may
get a lower id than one that another node has committed long ago.
"""

from __future__ import annotations

from tidings.errors import UnsafeStoreError

_SIGNS = {
    "-yb-": "YugabyteDB",
    "cockroachdb": "CockroachDB",
    "greenplum": "Greenplum",
    "singlestore": "SingleStore",
    "tidb": "TiDB",
}
"""What such a server says of itself, in its version."""


def refuse_relative(version: str, relative_of: str) -> None:
    """Refuse a server that is not the database whose protocol it speaks."""
    for sign, name in _SIGNS.items():
        if sign in version.lower():
            raise UnsafeStoreError(
                f"This server is {name}, which speaks the protocol of {relative_of}. Its ids tell "
                "nothing about the order of commits, so events would be passed. Let tidings have "
                f"{relative_of} itself."
            )
