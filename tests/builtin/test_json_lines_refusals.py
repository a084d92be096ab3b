"""JSON Lines that cannot be written: told with the cause, and nothing accepted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builtin.lines import WHEN, message, opened, write
from tests.remembered import newest_id
from tidings import BrokerRefusedError, BrokerUnavailableError


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_told_and_nothing_is_accepted() -> None:
    producer = opened("/dev/full")

    with pytest.raises(
        BrokerUnavailableError,
        match="Exchange 'x': cannot write to /dev/full: No space left on device",
    ) as caught:
        write(producer, 1)
    assert caught.value.event_id == 1
    assert producer.accepted_id("x") is None


LIMITED = """
import resource, signal, sys
from pathlib import Path
from tests.builtin.lines import ids, opened, write

path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
producer = opened(path)
write(producer, 1)
room = path.stat().st_size * 2 + 10
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
write(producer, 2)
try:
    write(producer, 3, 4)
except Exception as error:
    print(type(error).__name__, producer.accepted_id("x"), ids(path))
"""


def test_a_disk_that_fills_up_in_the_middle_of_a_line_keeps_whole_lines(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "out.jsonl"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert found.stdout == "BrokerUnavailableError 2 [1, 2]\n"


def test_a_device_takes_lines_and_remembers_nothing() -> None:
    producer = opened("/dev/null")
    write(producer, 1)

    assert producer.accepted_id("x") == 1
    assert newest_id(producer, "x") is None


def test_what_can_never_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    reasons = {
        tmp_path: "Is a directory",
        tmp_path / "file" / "below": "Not a directory|File exists",
        tmp_path / "pipe": "it is not a file",
    }
    for path, reason in reasons.items():
        with pytest.raises(BrokerRefusedError, match=f"cannot write to {path}: ({reason})"):
            opened(path)


UNPRIVILEGED = """
import os, sys
from tests.builtin.lines import opened
os.setuid(65534)
try:
    opened(sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    # In a folder of its own: pytest's belongs to root alone.
    path = tmp_path / "out.jsonl"
    path.touch(mode=0o600)

    found = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, path], check=True, capture_output=True, text=True
    )

    assert found.stdout == (
        f"BrokerRefusedError Exchange 'x': cannot write to {path}: Permission denied. "
        "Change `path`, or the permissions.\n"
    )


def test_standard_output_gets_whole_lines_after_what_was_printed() -> None:
    code = (
        "from tests.builtin.lines import opened, write\n"
        "print('before')\np = opened(None)\nprint('and this')\nwrite(p, 1, 2)\nprint('after')\n"
        "assert p.most_recent_accepted('x') is None\nassert p.accepted_id('x') == 2"
    )

    environ = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environ, check=True, capture_output=True, text=True
    ).stdout.splitlines()

    assert found[:2] == ["before", "and this"]
    assert [json.loads(line)["event_id"] for line in found[2:4]] == [1, 2]
    assert found[4:] == ["after"]


def test_without_a_standard_output_a_path_is_asked_for() -> None:
    code = (
        "import sys\nfrom tests.builtin.lines import opened\nsys.stdout = None\n"
        "try:\n    opened(None)\nexcept Exception as error:\n    print(error, file=sys.stderr)"
    )

    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert found.stderr == (
        "Exchange 'x': there is no standard output to write to. Set the producer's `path`.\n"
    )


def test_a_reader_that_has_gone_is_told() -> None:
    code = (
        "from tests.builtin.lines import opened, write\nimport sys\n"
        "p = opened(None)\ninput()\n"
        "try:\n    write(p, 1)\nexcept Exception as error:\n    print(error, file=sys.stderr)\n"
        "    print(p.accepted_id('x'), file=sys.stderr)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, said = process.communicate(b"go\n", timeout=30)

    assert said.decode().splitlines() == [
        "Exchange 'x': cannot write to standard output: Broken pipe.",
        "None",
    ]


def test_an_exchange_that_is_not_open_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    producer = opened(tmp_path / "out.jsonl")

    with pytest.raises(RuntimeError, match="'y' is not open"):
        producer.send("y", message(), "A", 1, WHEN)
    with pytest.raises(RuntimeError, match="'x' is open already"):
        producer.open("x")
