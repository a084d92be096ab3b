"""The versions of what is installed: servers, Python, and the libraries that tidings uses.

``python -m tests.matrix.versions`` prints them as JSON.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from tests.matrix import lowest
from tests.servers import mariadb, postgresql

PYPROJECT: Final = Path(__file__).parents[2] / "pyproject.toml"


def servers() -> dict[str, str]:
    """Return each installed server's version by its name."""
    found = {
        "RabbitMQ": _package("rabbitmq-server"),
        "ActiveMQ Classic": _package("activemq"),
        "PostgreSQL": _said([postgresql.program("postgres"), "--version"], r"(\d+\.\d+)"),
        "Redis": _said(["redis-server", "--version"], r"v=([\d.]+)"),
        "PgBouncer": _said(["pgbouncer", "--version"], r"PgBouncer ([\d.]+)"),
        "Java": _said(["java", "-version"], r'version "([\d.]+)'),
    }
    mysql = _said([mariadb.server_program(), "--version"], r"Ver ([\d.]+\S*)")
    if mysql is not None:
        name = "MariaDB" if "mariadb" in mysql.lower() else "MySQL"
        found[name] = re.match(r"[\d.]+", mysql)[0]  # type: ignore[index]  # the pattern before
    return {name: version for name, version in found.items() if version}


def libraries() -> dict[str, str]:
    """Return each library's version by its name."""
    return {name: importlib.metadata.version(name) for name in lowest.libraries(PYPROJECT)}


def _package(name: str) -> str | None:
    return _said(["dpkg-query", "--show", "--showformat=${Version}", name], r"(?:\d+:)?([\d.]+\d)")


def _said(command: list[str | Path], pattern: str) -> str | None:
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    match = re.search(pattern, done.stdout)
    return match[1] if match else None


if __name__ == "__main__":
    print(  # noqa: T201 - for the program that asks
        json.dumps(
            {
                "python": platform.python_version(),
                "servers": servers(),
                "libraries": libraries(),
            }
        )
    )
