"""How something is added to this very installation of tidings."""

from __future__ import annotations

import sys
from pathlib import Path


def install_command(requirement: str) -> str:
    """Return the command that adds ``requirement``, by the tool that tidings was installed with."""
    here = Path(sys.prefix)
    if (here / "pipx_metadata.json").exists():
        # It holds an extra of what is installed already for installed, without --force.
        return f"pipx inject --force tidings '{requirement}'"
    if (here / "uv-receipt.toml").exists():
        return (
            f"uv tool install --with '{requirement}' tidings (with a --with for each thing that "
            "was added before, too)"
        )
    return f"pip install '{requirement}'"
