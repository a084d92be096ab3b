"""The alerts, with the numbers that a test wants."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "alerts"


def rendered(*options: str) -> str:
    """Return what the operator's program prints."""
    made = subprocess.run(
        [sys.executable, FOLDER / "render.py", *options], capture_output=True, text=True, check=True
    )
    return made.stdout
