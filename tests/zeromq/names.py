"""A program in a mount namespace of its own, where hosts have the names that a test gives them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

NAMES = "127.0.0.1 localhost\n::1 six.test\n::1 both.test\n127.0.0.1 both.test\n"

needs_names = pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("unshare"), reason="only root can give names of its own"
)


def run_with_names(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program with `NAMES` in place of /etc/hosts."""
    (folder / "hosts").write_text(NAMES)
    mounted = f'mount --bind {folder}/hosts /etc/hosts && exec "$@"'
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", mounted, "sh", sys.executable, "-c", program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
