"""``check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.exit_codes import WRONG_USE, exit_code
from tidings.cli.output import echo, sentences
from tidings.cli.stores import checked, event_stores
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
