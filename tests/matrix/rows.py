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
    mysql_package: str
    """Which server stands behind `mysql+pymysql://` there."""


ROWS: Final = {
    row.name: row
    for row in (
        Row("debian-12", "bookworm", "Debian 12", "mariadb-server"),
        Row("debian-13", "trixie", "Debian 13", "mariadb-server"),
        # MariaDB is tested in the other two.
        Row("debian-unstable", "sid", "Debian unstable", "mysql-server"),
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
