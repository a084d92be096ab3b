"""Configurations of the projects that :mod:`tests.cli.conftest` gives, and what is asked of one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tidings.cli.main import tidings

if TYPE_CHECKING:
    import pytest

    from tests.command import Project

ONE = """
[event_store]
url = "sqlite:///events.db"

[exchanges.orders]
producer = "jsonlines"

[producers.jsonlines]
path = "{exchange}.jsonl"
"""
TWO = f"""{ONE}
[exchanges.audit]
producer = "jsonlines"
"""


def written(project: Project, exchange: str) -> list[int]:
    lines = (project.folder / f"{exchange}.jsonl").read_text().splitlines()
    return [json.loads(line)["event_id"] for line in lines]


def said_here(project: Project, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """Run a command in this very process, with what it was patched with; return its lines."""
    said: list[str] = []
    monkeypatch.setattr(f"tidings.cli.{arguments[0]}.echo", said.append)
    monkeypatch.chdir(project.folder)
    tidings.main(list(arguments), standalone_mode=False)
    return said
