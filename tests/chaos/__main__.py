"""The long form: `make chaos`, or `python -m tests.chaos --disturbance "kill relay"`."""

from __future__ import annotations

import logging
import time

import click
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from tests.chaos.backends import BACKENDS
from tests.chaos.disturbances import DISTURBANCES
from tests.chaos.experiment import Outcome, experiment
from tests.matrix import versions

COLUMNS = ("rounds", "sent", "lost", "duplicated", "reordered", "longest stall", "kept")


@click.command()
@click.option("--rounds", default=20, show_default=True, help="Rounds of each disturbance.")
@click.option("--backend", "backends", multiple=True, type=click.Choice(list(BACKENDS)))
@click.option("--disturbance", "disturbances", multiple=True, type=click.Choice(list(DISTURBANCES)))
@click.option("--seed", type=int, help="Repeat a run's random moments.")
def main(
    rounds: int, backends: tuple[str, ...], disturbances: tuple[str, ...], seed: int | None
) -> None:
    """Play disturbances on backends and print what an independent reader found."""
    logging.getLogger().addHandler(logging.NullHandler())  # what fails is told by the table
    seed = int(time.time()) if seed is None else seed
    console = Console(soft_wrap=True, width=140)  # the table is for a page, too
    console.print(f"seed {seed}")
    console.print(", ".join(f"{name} {version}" for name, version in versions.servers().items()))
    outcomes: list[Outcome] = []
    failed = False
    for name in disturbances or DISTURBANCES:
        for backend in backends or BACKENDS:
            if backend not in DISTURBANCES[name].backends:
                continue
            try:
                outcomes.append(experiment(backend, DISTURBANCES[name], rounds, seed=seed))
            except Exception as error:  # noqa: BLE001 - the others can be played all the same
                failed = True
                console.print(f"{backend}, {name}: {type(error).__name__}: {error}", markup=False)
            else:
                console.print(_line(outcomes[-1]), markup=False)
    _show(console, outcomes)
    if failed or not all(outcome.kept for outcome in outcomes):
        raise SystemExit(1)


def _line(outcome: Outcome) -> str:
    verdict = outcome.verdict
    return (
        f"{outcome.backend}, {outcome.disturbance}, {outcome.rounds} rounds: {verdict.sent} sent, "
        f"{verdict.lost} lost, {verdict.duplicated} duplicated (at most {verdict.longest_repeat} "
        f"in a row), {verdict.reordered} reordered, {outcome.longest_stall:.1f} s"
    )


def _show(console: Console, outcomes: list[Outcome]) -> None:
    table = Table("backend", "disturbance", box=MARKDOWN)
    for title in COLUMNS:
        table.add_column(title, justify="right")
    for outcome in outcomes:
        verdict = outcome.verdict
        table.add_row(
            outcome.backend,
            outcome.disturbance,
            str(outcome.rounds),
            *(str(n) for n in (verdict.sent, verdict.lost, verdict.duplicated, verdict.reordered)),
            f"{outcome.longest_stall:.1f} s",
            "yes" if outcome.kept else "NO",
        )
    console.print(table)


if __name__ == "__main__":
    main()
