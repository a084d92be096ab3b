"""``init``, ``schema`` and ``check``."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import click

from tidings import __version__
from tidings.cli.context import Context, checked, pass_context
from tidings.cli.exit_codes import WRONG_USE, exit_code
from tidings.cli.output import divert_foreign, echo, sentences
from tidings.errors import ConfigurationError, ExchangeLockedError, TidingsError
from tidings.interfaces import Capability, Position
from tidings.relay.owner import label
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.bootstrap import Tidings
    from tidings.interfaces import EventStore
    from tidings.operations.state import State

log = escaping_logger(__name__)

STATEMENT_END = ";\n\n"


@click.command()
@click.option("--producer", default="jsonlines", metavar="NAME", show_default=True)
@click.option("--tables", is_flag=True, help="Only create the tables of an existing configuration.")
@pass_context
def init(context: Context, producer: str, *, tables: bool) -> None:
    """Write a commented tidings.toml, and create the tables."""
    from tidings import config  # noqa: PLC0415 - not needed for --help
    from tidings.cli.template import template  # noqa: PLC0415 - not needed for --help

    path = config.find_file(context.path, os.environ)
    if not tables:
        divert_foreign()
        text = template(producer)
        try:
            # Its owner's alone: passwords are written into it.
            with open(path, "x", encoding="utf-8", opener=_private) as file:
                file.write(text)
        except FileExistsError:
            raise TidingsError(
                f"{path} exists already, and was left as it is. "
                "`tidings init --tables` creates the tables that it names."
            ) from None
        except OSError as error:
            raise TidingsError(f"Cannot write {path}: {error.strerror}.") from error
        echo(f"{path} written.")
    _create_tables(context.tidings)
    echo("Tables ready.")


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
    statements: dict[str, None] = {}
    for store in event_stores(context.tidings).values():
        # A source beside the event store needs most of its tables, too: each is shown once.
        if Capability.SCHEMA not in store.capabilities:
            continue
        statements |= dict.fromkeys(store.ddl().rstrip(";\n").split(STATEMENT_END))
    ddl = STATEMENT_END.join(filter(str.strip, statements))
    if not ddl:
        raise TidingsError(
            "This event store has no statements to show: `tidings init --tables` makes it."
        )
    return f"{ddl};"


@click.command()
@click.option("--sql", is_flag=True, help="Only print the statements, for those who run them.")
@pass_context
def migrate(context: Context, *, sql: bool) -> None:
    """Bring the tables of an older tidings to this one's. Stop every relay first.

    Events, positions and everything else stays as it is. May be run again, and by several at once.
    """
    from tidings.operations.journal import note  # noqa: PLC0415 - not needed for --help

    tidings = context.tidings
    statements: dict[str, None] = {}
    for store in event_stores(tidings).values():
        if Capability.SCHEMA not in store.capabilities:
            continue
        with closing(store):
            text = store.migrate(dry_run=sql)
        statements |= dict.fromkeys(text.rstrip(";\n").split(STATEMENT_END))
    if Capability.SCHEMA in tidings.tracker.capabilities:
        text = tidings.tracker.migrate(dry_run=sql)
        statements |= dict.fromkeys(text.rstrip(";\n").split(STATEMENT_END))
    statements.pop("", None)
    if sql and statements:
        for line in (STATEMENT_END.join(statements) + ";").splitlines():
            echo(line)
    elif statements:
        note(tidings, "", "migrated", f"by tidings {__version__}")
        echo("Tables migrated.")
    else:
        echo("Nothing to do: the tables are of this version.", err=sql)


@click.command()
@pass_context
def check(context: Context) -> None:
    """Try the configuration, the database, the tables and each broker: a line each."""
    codes = {0}

    def line(what: str, attempt: Callable[[], str | None]) -> bool:
        try:
            note = attempt()
        except Exception as error:
            log.debug("%s", what, exc_info=error)
            for sentence in sentences(error):
                echo(f"FAILED  {what}: {sentence}")
            codes.add(exit_code(error))
            return False
        echo(f"ok      {what}{f': {note}' if note else ''}")
        return True

    if not line("configuration", lambda: _load(context)):
        raise click.exceptions.Exit(WRONG_USE)
    tidings = context.tidings
    for what, store in event_stores(tidings).items():
        line(what, lambda store=store: _check_store(store))  # type: ignore[misc]
    line("tracker", lambda: _check_tracker(tidings))
    for name in tidings.configuration.exchanges:
        line(f"exchange {name}", lambda name=name: _check_exchange(tidings, name))  # type: ignore[misc]
    raise click.exceptions.Exit(max(codes))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _create_tables(tidings: Tidings) -> None:
    for store in event_stores(tidings).values():
        with closing(store):
            store.create()
    tidings.tracker.create()


def event_stores(tidings: Tidings) -> dict[str, EventStore]:
    """Return the event store and every other source that an exchange has."""
    stores = {"event store": tidings.event_store()}
    for name, exchange in tidings.configuration.exchanges.items():
        if exchange.source is not None and f"source {exchange.source}" not in stores:
            stores[f"source {exchange.source}"] = tidings.event_store(name)
    return stores


def _load(context: Context) -> str:
    tidings = context.tidings
    exchanges = tidings.configuration.exchanges
    tidings.event_store().close()  # without [event_store] there is one for consumers alone
    if not exchanges:
        raise ConfigurationError(["No exchange is configured: add [exchanges.NAME]."])
    return f"{len(exchanges)} exchange(s)"


def _check_store(store: EventStore) -> str:
    with checked(store):
        return f"newest event {store.newest_event_id() or '-'}"


def _check_tracker(tidings: Tidings) -> str:
    return f"{len(tidings.tracker.tracked_exchanges())} exchange(s) tracked"


def _check_exchange(tidings: Tidings, name: str) -> str:
    """Try the broker, and see that the exchange can go on from where it stands."""
    from tidings.operations.state import state_of  # noqa: PLC0415 - not needed for --help
    from tidings.relay.beginning import problem_of_broker  # noqa: PLC0415 - not needed for --help
    from tidings.relay.lag import lag  # noqa: PLC0415 - not needed for --help

    rows = {row.exchange_name: row for row in tidings.tracker.tracked_exchanges()}
    row = rows.get(name)
    with checked(tidings.event_store(name)) as store:
        position = (row.position if row else Position())._replace(store=store.identity())
        state = state_of(store, row, lag(store, position.event_id).hold)
        producer = tidings.producer(name)
        try:
            addressing = tidings.configuration.exchange(name).addressing
            exchange = producer.open(
                name,
                position,
                partitions=addressing.partitions,
                partition_by=addressing.partition_field,
            )
            if Capability.MOST_RECENT_ACCEPTED in producer.capabilities:
                accepted = exchange.most_recent_accepted()
                for each in (accepted, *exchange.accepted_ahead()):
                    problem = problem_of_broker(name, each, store, position)
                    if problem is not None:
                        raise problem
        except ExchangeLockedError as locked:
            if state.relay is None:  # also if one was killed, whose lease still runs
                raise TidingsError(
                    f"{locked} No relay of this configuration is publishing: the event store knows "
                    "of none."
                ) from locked
        finally:
            producer.close(name)
    if state.is_broken:
        raise TidingsError(str(state.sentence()))
    return _note(tidings, name, state)


def _note(tidings: Tidings, name: str, state: State) -> str:
    producer = tidings.configuration.exchange(name).producer
    if state.word in ("waiting", "paused"):
        return f"{producer}; {state.sentence()}"
    return producer if state.relay is None else f"{producer}; carried by {label(state.relay)}"
