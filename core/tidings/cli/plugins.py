"""``plugins``."""

from __future__ import annotations

from dataclasses import asdict

import click

from tidings.cli.context import print_table
from tidings.cli.output import divert_foreign, echo_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def plugins(*, as_json: bool) -> None:
    """Show every backend that is installed, and what is wrong with it if something is."""
    from tidings.plugins.registry import PluginRegistry  # noqa: PLC0415 - not needed for --help

    divert_foreign()
    found = PluginRegistry().installed()
    if as_json:
        echo_json({"plugins": [asdict(plugin) for plugin in found]})
        return
    print_table(
        ["name", "offers", "distribution", "state"],
        [
            (
                plugin.name,
                ", ".join(plugin.kinds),
                f"{plugin.distribution} {plugin.version}",
                plugin.problem or "ready",
            )
            for plugin in found
        ],
    )
