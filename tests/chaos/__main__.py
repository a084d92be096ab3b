"""The long form: `make chaos`, or `python -m tests.chaos --rounds 200 --fault "kill relay"`."""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.table import Table

from tests.chaos.backends import BACKENDS
from tests.chaos.experiment import Outcome, applies, experiment
from tests.chaos.faults import FAULTS


@click.command()
@click.option("--rounds", default=20, show_default=True, help="Rounds of each fault.")
@click.option("--backend", "backends", multiple=True, type=click.Choice(list(BACKENDS)))
@click.option("--fault", "faults", multiple=True, type=click.Choice(list(FAULTS)))
@click.option("--seed", type=int, help="Repeat a run's random moments.")
def main(rounds: int, backends: tuple[str, ...], faults: tuple[str, ...], seed: int | None) -> None:
    """Play faults on backends and print what an independent reader found."""
    seed = int(time.time()) if seed is None else seed
    console = Console()
    console.print(f"seed {seed}")
    outcomes = []
    for backend in backends or BACKENDS:
        for name in faults or FAULTS:
            if applies(backend, FAULTS[name]):
                with console.status(f"{backend}: {name}"):
                    outcomes.append(experiment(backend, FAULTS[name], rounds, seed=seed))
                console.print(_line(outcomes[-1]))
    _show(console, outcomes)
    if not all(outcome.kept for outcome in outcomes):
        raise SystemExit(1)


def _line(outcome: Outcome) -> str:
    verdict = outcome.verdict
    return (
        f"{outcome.backend}, {outcome.fault}: {verdict.lost} lost, "
        f"{verdict.duplicated} duplicated, {verdict.reordered} reordered"
    )


def _show(console: Console, outcomes: list[Outcome]) -> None:
    table = Table("backend", "fault")
    for title in ("rounds", "sent", "lost", "duplicated", "reordered", "longest stall", "kept"):
        table.add_column(title, justify="right")
    for outcome in outcomes:
        table.add_row(
            outcome.backend,
            outcome.fault,
            str(outcome.rounds),
            str(outcome.verdict.sent),
            str(outcome.verdict.lost),
            str(outcome.verdict.duplicated),
            str(outcome.verdict.reordered),
            f"{outcome.longest_stall:.1f} s",
            "yes" if outcome.kept else "NO",
        )
    console.print(table)


if __name__ == "__main__":
    main()
