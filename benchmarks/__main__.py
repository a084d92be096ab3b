"""`make bench`, or for example `python -m benchmarks wire --backend rabbitmq --events 200000`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from benchmarks import (
    bodies,
    exchanges,
    growth,
    latency,
    observers,
    servers,
    stages,
    startup,
    writing,
)
from benchmarks.peers import suite as peers
from benchmarks.wire import suite
from benchmarks.wire.backends import BACKENDS

if TYPE_CHECKING:
    from collections.abc import Callable

Command = TypeVar("Command", bound="Callable[..., None]")


def rounds(default: int) -> Callable[[Command], Command]:
    """Offer a number of rounds."""
    return click.option("--rounds", default=default, show_default=True, help="Runs of each.")


def events(default: int, what: str) -> Callable[[Command], Command]:
    """Offer a number of events."""
    return click.option("--events", default=default, show_default=True, help=what)


def databases(*default: str) -> Callable[[Command], Command]:
    """Offer a choice of databases."""
    return click.option(
        "--database",
        "databases",
        multiple=True,
        default=default,
        show_default=True,
        type=click.Choice(servers.KINDS),
    )


def backends(*default: str) -> Callable[[Command], Command]:
    """Offer a choice of backends."""
    return click.option(
        "--backend",
        "backends",
        multiple=True,
        default=default,
        show_default=True,
        type=click.Choice(list(BACKENDS)),
    )


@click.group()
def main() -> None:
    """Measure tidings beside what the same machine does without it."""


@main.command("wire")
@backends(*BACKENDS)
@databases("sqlite", "postgresql")
@events(20_000, "Stored events.")
@rounds(3)
def wire_command(
    backends: tuple[str, ...], databases: tuple[str, ...], events: int, rounds: int
) -> None:
    """Compare the relay with bare clients, and with each library's usual way."""
    with tempfile.TemporaryDirectory() as folder:
        suite.run(backends, databases, events, rounds, Path(folder))


@main.command("bodies")
@backends("rabbitmq")
@click.option("--database", default="sqlite", show_default=True, type=click.Choice(servers.KINDS))
@click.option("--megabytes", default=50, show_default=True, help="Of bodies in each run, about.")
@rounds(3)
def bodies_command(backends: tuple[str, ...], database: str, megabytes: int, rounds: int) -> None:
    """Compare the relay with the bare client, with bodies of 100 bytes to 1 MB."""
    with tempfile.TemporaryDirectory() as folder:
        bodies.run(backends, database, megabytes * 1_000_000, rounds, Path(folder))


@main.command("writing")
@databases(*servers.KINDS)
@rounds(20)
def writing_command(databases: tuple[str, ...], rounds: int) -> None:
    """Compare append and record with a plain INSERT of the same row."""
    with tempfile.TemporaryDirectory() as folder:
        writing.run(databases, rounds, Path(folder))


@main.command("startup")
@databases("sqlite")
@rounds(10)
def startup_command(databases: tuple[str, ...], rounds: int) -> None:
    """Time whole processes: import, status, a spread that has nothing to do."""
    with tempfile.TemporaryDirectory() as folder:
        startup.run(databases, rounds, Path(folder))


@main.command("latency")
@databases(*servers.KINDS)
@events(100, "Events timed, idle and again at half load.")
def latency_command(databases: tuple[str, ...], events: int) -> None:
    """Time events from their commit to a subscriber of RabbitMQ, idle and at half load."""
    with tempfile.TemporaryDirectory() as folder:
        latency.run(databases, events, Path(folder))


@main.command("growth")
@databases("sqlite")
@events(20_000, "Stored events of the smaller database.")
@click.option("--times", default=10, show_default=True, help="How often as many the larger has.")
@click.option("--full", is_flag=True, help="Drain the databases whole, too, not only their ends.")
@rounds(2)
def growth_command(
    databases: tuple[str, ...], events: int, times: int, rounds: int, *, full: bool
) -> None:
    """Compare a long backlog with a short one."""
    with tempfile.TemporaryDirectory() as folder:
        growth.run(databases, events, times, rounds, Path(folder), full=full)


@main.command("exchanges")
@click.option("--database", default="sqlite", show_default=True, type=click.Choice(servers.KINDS))
@click.option(
    "--exchanges", "counts", multiple=True, default=(1, 10, 100), show_default=True, type=int
)
@click.option("--messages", default=100_000, show_default=True, help="In all, in each run.")
@click.option("--seconds", default=5.0, show_default=True, help="How long they idle.")
@rounds(2)
def exchanges_command(
    database: str, counts: tuple[int, ...], messages: int, seconds: float, rounds: int
) -> None:
    """Compare many exchanges in one relay with one, busy and idle."""
    with tempfile.TemporaryDirectory() as folder:
        exchanges.run(database, counts, messages, rounds, Path(folder), seconds=seconds)


@main.command("stages")
@backends(*BACKENDS)
@click.option("--database", default="sqlite", type=click.Choice(servers.KINDS), show_default=True)
@events(20_000, "Stored events.")
@rounds(5)
def stages_command(backends: tuple[str, ...], database: str, events: int, rounds: int) -> None:
    """Tell where the relay's own CPU goes."""
    with tempfile.TemporaryDirectory() as folder:
        stages.run(database, backends, events, rounds, Path(folder))


@main.command("observers")
@click.option("--database", default="sqlite", type=click.Choice(servers.KINDS), show_default=True)
@events(50_000, "Stored events.")
@rounds(5)
def observers_command(database: str, events: int, rounds: int) -> None:
    """Tell what metrics and traces cost the relay."""
    with tempfile.TemporaryDirectory() as folder:
        observers.run(database, events, rounds, Path(folder))


@main.command("peers")
@click.option(
    "--peer",
    "names",
    multiple=True,
    default=tuple(peers.PEERS),
    show_default=True,
    type=click.Choice(list(peers.PEERS)),
)
@events(20_000, "Stored events for the relay; a peer gets a tenth.")
@rounds(3)
def peers_command(names: tuple[str, ...], events: int, rounds: int) -> None:
    """Compare the relay with other libraries; installs them into environments of their own."""
    if failed := peers.run(names, events, rounds):
        reasons = "\n".join(f"{name} has no figures. {why}" for name, why in failed.items())
        raise click.ClickException(reasons)


@main.command("all")
@click.pass_context
def all_command(ctx: click.Context) -> None:
    """Run everything, with the defaults."""
    for command in (
        wire_command,
        bodies_command,
        writing_command,
        startup_command,
        latency_command,
    ):
        ctx.invoke(command)
    ctx.invoke(growth_command)
    ctx.invoke(exchanges_command)
    ctx.invoke(stages_command)
    ctx.invoke(observers_command)
    ctx.invoke(peers_command)


if __name__ == "__main__":
    main()
