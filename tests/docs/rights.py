"""The GRANT statements of the operator's page, and users who have just those rights."""

from __future__ import annotations

import re
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool
from typing_extensions import override

from tests.servers.databases import drop_database

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import Connection

    from tests.servers.given import DatabaseServer

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
ROLES = ("migrator", "app", "relay", "pruner")
_GRANT = re.compile(r"GRANT (?P<rights>[A-Z, ]+) ON (?P<on>.+?) TO '?(?P<role>\w+)'?(@'%')?;")


class Right(NamedTuple):
    """One right of one role on one thing."""

    server: str
    role: str
    right: str
    on: str

    @override
    def __str__(self) -> str:
        return f"{self.server}, {self.role}: {self.right} on {self.on}"


def _rights(server: str, block: str) -> list[Right]:
    lines = [line for line in block.splitlines() if line]
    grants = [_GRANT.fullmatch(line) for line in lines]
    found = []
    for line, grant in zip(lines, grants, strict=True):
        assert grant is not None, f"not understood: {line}"
        kind, _, names = grant["on"].rpartition("SEQUENCE ")
        for on in names.split(", "):
            for right in grant["rights"].split(", "):
                thing = f"{'SEQUENCE ' if kind or 'SEQUENCE' in grant['on'] else ''}{on}"
                found.append(Right(server, grant["role"], right, thing))
    return found


_BLOCKS = re.findall(r"^```sql\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
RIGHTS: Sequence[Right] = [
    right
    for server, block in zip(("postgresql", "mariadb"), _BLOCKS, strict=True)
    for right in _rights(server, block)
]


@dataclass
class Granted:
    """An empty database, and users of it who have what the page says they need."""

    server: str
    url: str
    _suffix: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def url_of(self, role: str) -> str:
        """Return the database's URL for that role."""
        url = make_url(self.url).set(username=self._name(role), password="secret")
        return url.render_as_string(hide_password=False)

    def execute(self, *statements: str) -> None:
        """Do that as the server's superuser."""
        with self._superuser() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def create_users(self) -> None:
        """Make a user for each role, who may do nothing yet."""
        if self.server == "postgresql":
            # As it is from PostgreSQL 15 on.
            self.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        how = "LOGIN PASSWORD" if self.server == "postgresql" else "IDENTIFIED BY"
        self.execute(*(f"CREATE USER {self._user(role)} {how} 'secret'" for role in ROLES))

    def drop_users(self) -> None:
        """Leave none of them."""
        for role in ROLES:
            if self.server == "postgresql":
                self.execute(f"DROP OWNED BY {self._user(role)}")
            self.execute(f"DROP USER {self._user(role)}")

    def grant(self, *roles: str, but_on: Collection[str] = ()) -> None:
        """Give those roles their rights, but none on those tables, which need not exist."""
        for right in RIGHTS:
            its_own = right.server == self.server and right.role in roles
            if its_own and right.on not in but_on:
                self.execute(f"GRANT {self._clause(right, 'TO')}")

    def revoke(self, right: Right) -> None:
        """Take one of them away."""
        self.execute(f"REVOKE {self._clause(right, 'FROM')}")

    def grant_statistics(self, role: str) -> None:
        """Let the role see what other users' sessions do."""
        self.execute(f"GRANT pg_read_all_stats TO {self._user(role)}")

    def _clause(self, right: Right, word: str) -> str:
        on = right.on.replace("shop.", f"{make_url(self.url).database}.")
        return f"{right.right} ON {on} {word} {self._user(right.role)}"

    def _name(self, role: str) -> str:
        return f"{role}_{self._suffix}"

    def _user(self, role: str) -> str:
        if self.server == "postgresql":
            return self._name(role)
        # Not '%', which a test server's anonymous user of this host would take precedence over.
        return f"'{self._name(role)}'@'{self._host}'"

    @cached_property
    def _host(self) -> str:
        """Return the host that we are to MySQL or MariaDB."""
        with self._superuser() as connection:
            user: str = connection.exec_driver_sql("SELECT USER()").scalar_one()
        return user.rpartition("@")[2]

    @contextmanager
    def _superuser(self) -> Iterator[Connection]:
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            yield connection


@contextmanager
def granted(server: str, given: DatabaseServer) -> Iterator[Granted]:
    """Give a database with a user for each role, who may do nothing yet."""
    database = Granted(server, given.new_database())
    database.create_users()
    try:
        yield database
    finally:
        database.drop_users()
        drop_database(given.url, database.url)
