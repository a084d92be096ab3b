"""The unit is one that systemd understands, and leaves little open."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.rights import PAGE
from tests.servers.given import missing

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "tidings.service"
PROGRAM = "/srv/tidings/venv/bin/tidings"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Give the unit, with a program that there is."""
    if shutil.which("systemd-analyze") is None:
        missing("systemd is not installed: it has systemd-analyze")
    text = UNIT.read_text()
    assert f"ExecStart={PROGRAM} " in text
    made = tmp_path / UNIT.name
    made.write_text(text.replace(PROGRAM, sys.executable))
    return made


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


def test_systemd_understands_every_line(unit: Path) -> None:
    found = analyze("verify", "--man=no", unit)

    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_the_check_finds_a_line_that_is_wrong(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("WatchdogSec=60", "WatchdogSecs=60"))

    assert "WatchdogSecs" in analyze("verify", "--man=no", unit).stderr


def test_little_is_left_open(unit: Path) -> None:
    found = analyze("security", "--offline=true", "--threshold=20", unit)  # tenths

    assert found.returncode == 0, found.stdout


def test_it_is_installed_with_what_the_operators_configuration_wants() -> None:
    here = (UNIT.parents[1] / "README.md").read_text(encoding="utf-8")
    (installed,) = re.findall(r"pip install 'tidings\[(.*?)\]'", here)

    assert re.findall(r"pip install 'tidings\[(.*?)\]'", PAGE.partition("\n## Rights")[0]) == [
        installed
    ]
