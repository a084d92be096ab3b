"""``quarantine retry``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from tidings.cli.context import Context, pass_context
from tidings.cli.options import EVENT_ID
from tidings.cli.output import echo, sentences
from tidings.errors import LeaseHeldError, TidingsError
from tidings.interfaces import Capability
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from tidings.bootstrap import Tidings

log = escaping_logger(__name__)

_PATIENCE = 30.0
_LOOK = 0.2


@click.command()
@click.argument("exchange", required=False)
@click.argument("event_id", metavar="[ID]", required=False, type=EVENT_ID)
@pass_context
def retry(context: Context, exchange: str | None, event_id: int | None) -> None:
    """Send what is in quarantine again: one event, an exchange's, or all.

    In the order of ids, but after whatever the exchange has had meanwhile. What the broker accepts
    leaves the quarantine. If a relay works on the exchange, it is asked to do it.
    """
    tidings = context.tidings
    quarantine = tidings.quarantine()
    if exchange is None:
        names = sorted({event.exchange_name for event in quarantine.quarantined_events()})
        names = [name for name in names if name in tidings.configuration.exchanges]
    else:
        names = [context.exchange(exchange)]
    results = []
    failed = False
    for name in names:
        try:
            results.append(_retry(tidings, name, event_id))
        except Exception as error:
            if len(names) == 1:
                raise
            # one exchange's broker or plugin must not keep the others from theirs
            log.debug("%s", name, exc_info=error)
            for sentence in sentences(error):
                echo(f"Error: exchange {name!r}: {sentence}", err=True)
            failed = True
    if not failed and not any(tried for tried, _ in results):
        wanted = "Nothing" if event_id is None else f"Event {event_id} of exchange {exchange!r}"
        echo(f"{wanted} is {'' if event_id is None else 'not '}in quarantine.")
        raise click.exceptions.Exit(0 if event_id is None else 1)
    if failed or any(refused for _, refused in results):
        raise click.exceptions.Exit(1)


def _retry(tidings: Tidings, exchange_name: str, event_id: int | None) -> tuple[int, int]:
    """Return how many were tried, and how many were refused."""
    from tidings.operations.journal import note  # noqa: PLC0415 - not needed for --help
    from tidings.relay.owner import Owner, label  # noqa: PLC0415 - not needed for --help
    from tidings.relay.retry import retry  # noqa: PLC0415 - not needed for --help
    from tidings.relay.run import running  # noqa: PLC0415 - not needed for --help

    quarantine = tidings.quarantine()
    _check_can_retry(tidings, exchange_name)
    before = {event.event_id for event in quarantine.quarantined_events(exchange_name)}
    meant = before if event_id is None else before & {event_id}
    if not quarantine.ask_to_retry(exchange_name, event_id):
        return 0, 0
    try:
        with running(tidings.route(exchange_name), Owner()) as run:
            retry(run)
    except LeaseHeldError as error:
        echo(f"Exchange {exchange_name!r}: asking {label(error.owner)} to send.", err=True)
        _wait_for_relay(tidings, exchange_name)
    left = {event.event_id: event for event in quarantine.quarantined_events(exchange_name)}
    sent = len(meant - left.keys())
    note(tidings, exchange_name, "sent again", f"{sent} of {len(meant)} event(s) in quarantine")
    for each in sorted(meant):
        outcome = f"stays in quarantine: {left[each].reason}" if each in left else "is sent."
        echo(f"Event {each} of exchange {exchange_name!r} {outcome}")
    return len(meant), len(meant & left.keys())


def _check_can_retry(tidings: Tidings, exchange_name: str) -> None:
    if Capability.OUT_OF_ORDER not in tidings.producer(exchange_name).capabilities:
        producer = tidings.configuration.exchange(exchange_name).producer
        raise TidingsError(
            f"Exchange {exchange_name!r}: the producer {producer!r} takes no event after one with "
            "a greater id, so nothing in quarantine can be sent again under its own id. Record "
            f"the event anew, then `tidings quarantine drop {exchange_name} ID`."
        )


def _wait_for_relay(tidings: Tidings, exchange_name: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while tidings.quarantine().quarantined_events(exchange_name, retry_asked=True):
        if time.monotonic() > deadline:
            raise TidingsError(
                f"Exchange {exchange_name!r}: its relay has not sent what was asked for within "
                f"{_PATIENCE:.0f} s. It will as soon as it can; `tidings quarantine list` tells."
            )
        time.sleep(_LOOK)
