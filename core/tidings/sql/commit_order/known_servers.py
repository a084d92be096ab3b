"""Servers that speak a protocol that we know, and are another database, or too old.

TiDB and YugabyteDB give each of their nodes ids of its own to hand out. So an event of one node may
get a lower id than one that another node has committed long ago.
"""

from __future__ import annotations

import re

from tidings.errors import UnsafeStoreError

_SIGNS = {
    "-yb-": "YugabyteDB",
    "greenplum": "Greenplum",
    "singlestore": "SingleStore",
    "tidb": "TiDB",
}
"""What such a server says of itself, in its version."""
_NUMBER = re.compile(r"(\d+)\.(\d+)")


def refuse_relative(version: str, relative_of: str) -> None:
    """Refuse a server that is not the database whose protocol it speaks."""
    for sign, name in _SIGNS.items():
        if sign in version.lower():
            raise UnsafeStoreError(
                f"This server is {name}, which speaks the protocol of {relative_of}. Its ids tell "
                "nothing about the order of commits, so events would be passed. Let tidings have "
                f"{relative_of} itself."
            )


def refuse_old_mysql(version: str) -> None:
    """Refuse a MySQL or MariaDB that cannot pass over locked rows: no lease could be renewed."""
    name, oldest = ("MariaDB", (10, 6)) if "mariadb" in version.lower() else ("MySQL", (8, 0))
    found = _NUMBER.search(version)
    if found is not None and tuple(map(int, found.groups())) < oldest:
        raise UnsafeStoreError(
            f"This {name} is of version {version}; tidings needs {'.'.join(map(str, oldest))} or "
            "newer, which knows SKIP LOCKED: without it, leases cannot be renewed."
        )
