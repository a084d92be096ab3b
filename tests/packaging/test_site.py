"""The site, built with what its own extra brings."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT
from tidings import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.packaging.conftest import Environment


@pytest.mark.packaging
@pytest.mark.timeout(900)
def test_the_extra_docs_alone_builds_the_site(
    wheel: Path, fresh: Callable[[], Environment], tmp_path: Path
) -> None:
    environment = fresh()
    environment.pip_install(f"{wheel}[docs]")

    python = environment.folder / "bin" / "python"
    site = tmp_path / "site"
    done = subprocess.run(
        [python, "-m", "scripts.site", site], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{site / 'index.html'}\n"
    page = (site / __version__ / "write-a-plugin.html").read_text(encoding="utf-8")
    assert "<pre><span></span>tidings new-plugin redis --directory tidings-redis\n" in page
    assert not environment.installed() & {"pika", "pytest", "mypy"}
