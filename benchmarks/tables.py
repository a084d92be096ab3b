"""Tables for people, and for the README."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Spread, ratios

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.measuring import Sample


WIDTH = 200
"""Columns of a terminal that no table here needs: none is folded in a pipe."""


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, as Markdown."""
    table = Table(columns[0], box=MARKDOWN)
    for column in columns[1:]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*row)
    console = Console(soft_wrap=True, width=WIDTH)
    console.print(f"### {title}", table)


def show_rates(
    title: str,
    samples: Mapping[str, Sequence[Sample]],
    ours: str,
    absent: Mapping[str, str] | None = None,
) -> None:
    """Print rates, CPU and memory, and ``ours`` in proportion to each of the others.

    ``absent`` are those that could not run, with the reason.
    """
    rows = []
    for name, runs in samples.items():
        rate = Spread.of(run.rate for run in runs)
        cpu = Spread.of(run.cpu_per_event * 1e6 for run in runs)
        rows.append(
            (
                name,
                f"{rate.middle:,.0f}",
                f"{rate.least:,.0f}-{rate.most:,.0f}",
                f"{cpu.middle:.1f}",
                f"{max(run.peak_bytes for run in runs) / 2**20:.0f}",
                "" if name == ours else spread(ratios(samples[ours], runs)),
            )
        )
    rows += [(name, why, "", "", "", "") for name, why in (absent or {}).items()]
    columns = ("", "events/s", "from-to", "CPU µs/event", "peak MB", f"{ours} / this")
    show(title, columns, rows)


def spread(values: Spread) -> str:
    """Write the middle of some ratios, and how far they reach."""
    return f"{values.middle:.2f} ({values.least:.2f}-{values.most:.2f})"
