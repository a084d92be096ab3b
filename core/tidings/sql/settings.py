"""What the configuration says of a SQL database."""

from __future__ import annotations

import enum
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from tidings.plugins.specs import Settings
from tidings.sql.names import check_name, check_table_name

DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
"""The scheme of a URL in the configuration, and SQLAlchemy's name for what we use."""

OTHER_DRIVERS = {
    "sqlite": {"pysqlite", "aiosqlite"},
    "postgresql": {"psycopg", "psycopg_async", "psycopg2", "asyncpg", "pg8000"},
    "mysql": {"pymysql", "aiomysql", "asyncmy", "mysqldb", "mysqlconnector", "mariadbconnector"},
}
"""What an application may connect through; its URL is taken, and the driver is ours."""

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
    table_name: str = Field(
        default="event",
        description="The table of the events, if the application has an `event` of its own.",
    )
    db_schema: str | None = Field(
        default=None,
        alias="schema",
        description="PostgreSQL, MySQL: the schema (MySQL: the database) that tidings' tables are "
        "in, if it is not the one that the connection begins with. It must be there.",
    )
    wake_up: bool = Field(
        default=False,
        description="PostgreSQL only: every commit with events wakes the relay, so that an idle "
        "one need not ask all the time. It does so by NOTIFY, from a trigger that `tidings init "
        "--tables` creates. Writers pay for it: if they write all the time, it may halve their "
        "rate.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        sqlalchemy_url(url)
        return url

    @field_validator("table_name")
    @classmethod
    def _check_table_name(cls, name: str) -> str:
        return check_table_name(name)

    @field_validator("db_schema")
    @classmethod
    def _check_schema_name(cls, name: str | None) -> str | None:
        return name if name is None else check_name(name)

    @model_validator(mode="after")
    def _check_schema(self) -> Self:
        if self.db_schema is not None and sqlalchemy_url(self.url).startswith("sqlite"):
            raise ValueError("schema needs PostgreSQL or MySQL; SQLite has no schemas")
        return self

    @model_validator(mode="after")
    def _check_wake_up(self) -> Self:
        if self.wake_up and not sqlalchemy_url(self.url).startswith("postgresql"):
            raise ValueError(
                "wake_up = true needs PostgreSQL, which alone can say that there are new events; "
                "take it out, and the relay asks for them"
            )
        return self


def sqlalchemy_url(url: SecretStr) -> str:
    """Return SQLAlchemy's form of ``url``, with the driver that tidings uses for any of them.

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
    if driver and driver not in OTHER_DRIVERS[wanted.partition("+")[0]]:
        raise ValueError(f"names the driver {driver!r}; write {name}:// and tidings uses its own")
    if name == "sqlite" and rest.lstrip("/").partition("?")[0] in {"", ":memory:"}:
        raise ValueError(
            "names a SQLite database in memory, which no second connection can see; name a file, "
            "as in sqlite:///events.db"
        )
    return f"{wanted}://{rest}"


class Layout(enum.StrEnum):
    """What an outbox's columns are called."""

    TIDINGS = "tidings"
    DEBEZIUM = "debezium"
    """As Debezium's outbox event router reads them without further settings."""


class OutboxSettings(SqlAlchemySettings):
    """Settings of an outbox that the relay drains."""

    table_name: str = Field(default="outbox", description="The outbox table's name.")
    layout: Layout = Field(default=Layout.TIDINGS, description="What its columns are called.")
    then: Literal["mark", "remove"] = Field(
        default="mark",
        description='What becomes of a message that was published: "mark" keeps it, with the '
        'time in dispatched_on; "remove" deletes it.',
    )
