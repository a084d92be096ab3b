from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.command import Project

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """
[event_store]
url = "sqlite:///events.db"

[exchanges.orders]
producer = "jsonlines"

[producers.jsonlines]
path = "{exchange}.jsonl"
"""


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    """Give a folder with nothing in it."""
    return Project(tmp_path)


@pytest.fixture
def project(empty: Project) -> Project:
    """Give a folder with a configuration, tables, and no event."""
    empty.configure(CONFIGURATION)
    empty.succeed("init", "--tables")
    return empty
