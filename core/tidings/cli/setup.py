"""``init``, ``schema`` and ``check``."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import click

from tidings.cli.context import Context, checked, pass_context
from tidings.errors import ConfigurationError, ExchangeLockedError, TidingsError
from tidings.interfaces import Position

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.bootstrap import Tidings
    from tidings.interfaces import EventStore

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
        text = template(producer)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise TidingsError(
                f"{path} exists already, and was left as it is. "
                "`tidings init --tables` creates the tables that it names."
            ) from None
        except OSError as error:
            raise TidingsError(f"Cannot write {path}: {error.strerror}.") from error
        click.echo(f"{path} written.")
    _create_tables(context.tidings)
    click.echo("Tables ready.")


@click.command()
@pass_context
def schema(context: Context) -> None:
    """Print the statements that create the tables in the configured database."""
    statements: dict[str, None] = {}
    for store in _stores(context.tidings).values():
        # A source beside the event store needs most of its tables, too: each is shown once.
        statements |= dict.fromkeys(store.ddl().rstrip(";\n").split(STATEMENT_END))
    ddl = STATEMENT_END.join(filter(str.strip, statements))
    if not ddl:
        raise TidingsError(
            "This event store has no statements to show: `tidings init --tables` makes it."
        )
    click.echo(ddl + ";")


@click.command()
@pass_context
def check(context: Context) -> None:
    """Try the configuration, the database, the tables and each broker: a line each."""
    good = True

    def line(what: str, attempt: Callable[[], str | None]) -> bool:
        try:
            note = attempt()
        except TidingsError as error:
            for sentence in str(error).splitlines():
                click.echo(f"FAILED  {what}: {sentence}")
            return False
        click.echo(f"ok      {what}{f': {note}' if note else ''}")
        return True

    if not line("configuration", lambda: _load(context)):
        raise click.exceptions.Exit(1)
    tidings = context.tidings
    for what, store in _stores(tidings).items():
        good &= line(what, lambda store=store: _check_store(store))  # type: ignore[misc]
    good &= line("tracker", lambda: _check_tracker(tidings))
    for name in tidings.configuration.exchanges:
        good &= line(f"exchange {name}", lambda name=name: _check_broker(tidings, name))  # type: ignore[misc]
    if not good:
        raise click.exceptions.Exit(1)


def _create_tables(tidings: Tidings) -> None:
    for store in _stores(tidings).values():
        with closing(store):
            store.create()
    tidings.tracker.create()


def _stores(tidings: Tidings) -> dict[str, EventStore]:
    """Return the event store and every other source that an exchange has."""
    stores = {"event store": tidings.event_store()}
    for name, exchange in tidings.configuration.exchanges.items():
        if exchange.source is not None and f"source {exchange.source}" not in stores:
            stores[f"source {exchange.source}"] = tidings.event_store(name)
    return stores


def _load(context: Context) -> str:
    exchanges = context.tidings.configuration.exchanges
    if not exchanges:
        raise ConfigurationError(["No exchange is configured: add [exchanges.NAME]."])
    return f"{len(exchanges)} exchange(s)"


def _check_store(store: EventStore) -> str:
    with checked(store):
        return f"newest event {store.newest_event_id() or '-'}"


def _check_tracker(tidings: Tidings) -> str:
    return f"{len(tidings.tracker.tracked_exchanges())} exchange(s) tracked"


def _check_broker(tidings: Tidings, name: str) -> str | None:
    rows = {row.exchange_name: row.position for row in tidings.tracker.tracked_exchanges()}
    producer = tidings.producer(name)
    try:
        producer.open(name, rows.get(name, Position()))
    except ExchangeLockedError:
        return "a relay is publishing to it just now"
    finally:
        producer.close(name)
    return tidings.configuration.exchange(name).producer
