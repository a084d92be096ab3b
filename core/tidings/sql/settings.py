"""What the configuration says of a SQL database."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from tidings.plugins.specs import Settings

DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
"""The scheme of a URL in the configuration, and SQLAlchemy's name for what we use."""

EXAMPLES = (
    "sqlite:///events.db, postgresql://user:password@host:5432/database "
    "or mysql://user:password@host:3306/database"
)


class SqlAlchemySettings(Settings):
    """Settings of the event store, the tracker and the outbox on SQLAlchemy."""

    url: SecretStr = Field(
        description=f"The database: {EXAMPLES}. The application's own, so that events are "
        "recorded in its transactions.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        sqlalchemy_url(url)
        return url


def sqlalchemy_url(url: SecretStr) -> str:
    """Return SQLAlchemy's form of ``url``, with the driver that tidings uses.

    Raises ``ValueError`` with a sentence that shows nothing of the URL but its scheme.
    """
    scheme, separator, rest = url.get_secret_value().partition("://")
    if not separator:
        raise ValueError(f"is not a database URL; write one such as {EXAMPLES}")
    name, _, driver = scheme.partition("+")
    wanted = DRIVERS.get(name)
    if wanted is None:
        raise ValueError(
            f"names the database {scheme!r}, which tidings does not know; write one such as "
            f"{EXAMPLES}"
        )
    if driver and driver not in {"pysqlite", wanted.partition("+")[2]}:
        raise ValueError(f"names the driver {driver!r}; write {name}:// and tidings uses its own")
    if name == "sqlite" and rest.lstrip("/").partition("?")[0] in {"", ":memory:"}:
        raise ValueError(
            "names a SQLite database in memory, which no second connection can see; name a file, "
            "as in sqlite:///events.db"
        )
    return f"{wanted}://{rest}"
