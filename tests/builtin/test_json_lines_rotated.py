"""JSON Lines rotated by logrotate itself while they are written."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.builtin.lines import opened, write
from tests.servers.given import missing
from tidings.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path

LOGROTATE = shutil.which("logrotate") or "/usr/sbin/logrotate"
ROTATIONS = 8


@pytest.mark.parametrize("how", ["nocreate", "create", "compress"])
def test_no_line_is_lost_while_logrotate_renames_the_file(tmp_path: Path, how: str) -> None:
    if shutil.which(LOGROTATE) is None:
        missing("logrotate is not installed")
    path = tmp_path / "out.jsonl"
    rules = tmp_path / "rules"
    rules.write_text(f"{path} {{\n rotate 100\n {how}\n}}\n")
    rules.chmod(0o600)
    producer = opened(path)
    rotated = threading.Event()

    def rotate() -> None:
        try:
            for _ in range(ROTATIONS):
                eventually(path.exists, "the next file", 60)
                subprocess.run([LOGROTATE, "-f", "-s", tmp_path / "state", rules], check=True)
        finally:
            rotated.set()

    rotating = threading.Thread(target=rotate)
    rotating.start()
    last = 0
    while not rotated.is_set():
        last += 1
        write(producer, last)
    rotating.join()

    files = [each for each in tmp_path.iterdir() if each.name.startswith(path.name)]
    found = {event_id for each in files for event_id in _ids(each)}
    assert len(files) >= ROTATIONS
    assert found == set(range(1, last + 1))


def _ids(path: Path) -> list[int]:
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    return [json.loads(line)["event_id"] for line in text.splitlines()]
