"""``schema``."""

from __future__ import annotations

import os

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.output import echo
from tidings.cli.statements import as_text, each_once
from tidings.cli.stores import event_stores
from tidings.errors import ConfigurationError, TidingsError
from tidings.interfaces import Capability


@click.command()
@click.option(
    "--dialect",
    type=click.Choice(["postgresql", "mysql", "sqlite"]),
    help="Print those for any such database (mysql: MariaDB too); needs no configuration, and "
    "takes the names of the tables from it if there is one.",
)
@pass_context
def schema(context: Context, dialect: str | None) -> None:
    """Print the statements that create the tables in the configured database."""
    for line in (_ddl(context, dialect) if dialect else _configured_ddl(context)).split("\n"):
        echo(line)


def _ddl(context: Context, dialect: str) -> str:
    from pydantic import ValidationError  # noqa: PLC0415 - slow to import

    from tidings.config import explain  # noqa: PLC0415 - not needed for --help
    from tidings.sql import ddl  # noqa: PLC0415 - not needed for --help
    from tidings.sql.event_log import events_log  # noqa: PLC0415 - not needed for --help
    from tidings.sql.settings import SqlAlchemySettings  # noqa: PLC0415 - not needed for --help

    given = {"url": f"{dialect}:///tidings", **_names_in_configuration(context)}
    if dialect != "postgresql":
        given.pop("wake_up", None)
    try:
        named = SqlAlchemySettings.model_validate(given)
    except ValidationError as error:
        raise ConfigurationError(explain(error, SqlAlchemySettings, "event_store")) from error
    log = events_log(named.table_name, named.db_schema)
    return ddl(dialect, log, wake_up=named.wake_up).rstrip("\n")


def _names_in_configuration(context: Context) -> dict[str, object]:
    """Return what a configuration says of the tables; one need not be there, nor be complete."""
    from tidings import config  # noqa: PLC0415 - not needed for --help

    path = config.find_file(context.path, os.environ)
    if path == config.find_file(None, {}) and not path.exists():
        return {}
    data, _, _ = config.read(path, os.environ)
    store = data.get("event_store")
    if not isinstance(store, dict) or store.get("backend", "sqlalchemy") != "sqlalchemy":
        return {}
    return {word: store[word] for word in ("table_name", "schema", "wake_up") if word in store}


def _configured_ddl(context: Context) -> str:
    stores = event_stores(context.tidings).values()
    statements = each_once(
        store.ddl() for store in stores if Capability.SCHEMA in store.capabilities
    )
    if not statements:
        raise TidingsError(
            "This event store has no statements to show: `tidings init --tables` makes it."
        )
    return as_text(statements)
