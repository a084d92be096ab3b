from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.projects import ONE, TWO
from tests.command import Project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    """Give a folder with nothing in it."""
    return Project(tmp_path)


@pytest.fixture
def project(empty: Project) -> Project:
    """Give a folder with a configuration, tables, and no event."""
    empty.configure(ONE)
    empty.succeed("init", "--tables")
    return empty


@pytest.fixture
def two(project: Project) -> Project:
    """Give a project with two exchanges, each of which has had five events."""
    project.configure(TWO)
    project.append_numbers(1, 5)
    project.succeed("spread", "orders")
    project.succeed("spread", "audit")
    return project


@pytest.fixture
def ten(project: Project) -> Project:
    """Give a project whose one exchange has had ten events of the type `Numbered`."""
    project.append_numbers(1, 10)
    project.succeed("spread")
    return project
