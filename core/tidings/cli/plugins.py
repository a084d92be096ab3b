"""``plugins``."""

from __future__ import annotations

from dataclasses import asdict

import click

from tidings.cli.context import console, echo_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def plugins(*, as_json: bool) -> None:
    """Show every backend that is installed, and what is wrong with it where something is."""
    from rich.table import Table  # noqa: PLC0415 - it is slow to import

    from tidings.plugins.registry import PluginRegistry  # noqa: PLC0415 - not needed for --help

    found = PluginRegistry().installed()
    if as_json:
        echo_json({"plugins": [asdict(plugin) for plugin in found]})
        return
    table = Table("name", "offers", "distribution", "state", box=None, pad_edge=False)
    for plugin in found:
        table.add_row(
            plugin.name,
            ", ".join(plugin.kinds) or "-",
            f"{plugin.distribution} {plugin.version}",
            plugin.problem or "ready",
        )
    console().print(table)
