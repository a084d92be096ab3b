"""``tidings demo`` tells its story of a repository of any size."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

COMMITS = 1_000
MESSAGE = b"a reason " * 60


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Make a repository whose events are more than a pipe holds (64 KiB)."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    commit = b"commit refs/heads/main\ncommitter A <a@example.org> %d +0000\ndata %d\n%s\n"
    history = b"".join(commit % (at, len(MESSAGE), MESSAGE) for at in range(COMMITS))
    subprocess.run(
        ["git", "-C", tmp_path, "fast-import", "--quiet"], input=history, check=True, timeout=60
    )
    subprocess.run(["git", "-C", tmp_path, "symbolic-ref", "HEAD", "refs/heads/main"], check=True)
    return tmp_path


@pytest.mark.slow
def test_the_demo_carries_more_than_a_pipe_holds(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidings", "demo", repository],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = f"{COMMITS} stored, {COMMITS} arrived in order: 0 lost, 0 sent twice."
    assert expected in done.stdout
