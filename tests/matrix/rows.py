"""Which Debian releases are tested, and what each of them is expected to have."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple


class Row(NamedTuple):
    """One Debian release."""

    name: str
    """The word for `--row`."""
    suite: str
    """The release's code name."""
    title: str
    others: tuple[str, ...]
    """Packages beside `PACKAGES`: the server behind `mysql+pymysql://`, and what not all have."""


ROWS: Final = {
    row.name: row
    for row in (
        # Its kubectl is of 2021, and builds with a kustomize that is older still.
        Row("debian-12", "bookworm", "Debian 12", ("mariadb-server",)),
        Row("debian-13", "trixie", "Debian 13", ("mariadb-server", "kubernetes-client")),
        # MariaDB is tested in the other two.
        Row("debian-unstable", "sid", "Debian unstable", ("mysql-server", "kubernetes-client")),
    )
}

PACKAGES: Final = (
    "activemq",
    "ca-certificates",
    "gcc",
    "git",
    "iproute2",
    "librabbitmq-dev",
    "logrotate",
    "make",
    "pgbouncer",
    "postgresql",
    "procps",
    "prometheus",
    "python3",
    "python3-dev",
    "python3-venv",
    "rabbitmq-server",
    "redis-server",
    "systemd",
)


def is_own(row: Row, os_release: Path = Path("/etc/os-release")) -> bool:
    """Tell whether this machine runs that release."""
    if not os_release.exists():
        return False
    lines = os_release.read_text().splitlines()
    return f"VERSION_CODENAME={row.suite}" in lines and "ID=debian" in lines
