from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.command import Project

OURS = {
    "rabbitmq",
    "rabbitmq-stream",
    "activemq",
    "zeromq",
    "zeromq-pub",
    "prometheus",
    "opentelemetry",
}


def test_every_backend_is_listed_and_ready(empty: Project) -> None:
    found = json.loads(empty.succeed("plugins", "--json").out)["plugins"]

    states = {plugin["name"]: plugin["problem"] for plugin in found}
    assert states.keys() >= OURS
    assert {states[name] for name in OURS} == {None}
    assert all(plugin["distribution"] and plugin["version"] for plugin in found)


def test_lines_in_a_pipe_end_where_their_text_ends(empty: Project) -> None:
    lines = empty.succeed("plugins").out.splitlines()

    assert lines[0].split() == ["name", "offers", "distribution", "state"]
    assert any(line.startswith("rabbitmq ") and line.endswith(" ready") for line in lines)
