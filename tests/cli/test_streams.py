"""What the command does with its standard streams, whatever they are."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from tidings.cli.output import StandardOutput
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.command import Project
    from tests.servers.given import StreamBroker

TO_STDOUT = """
[event_store]
url = "sqlite:///events.db"

[exchanges.orders]
producer = "jsonlines"
"""
EVIL = "A\x1b]0;owned\x07\n2026-01-01T00:00:00Z info: orders: all is well\x9b31m\u202e"
COMMAND = f"{sys.executable} -W error -m tidings"


def shell(project: Project, line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of the shell, in which `tidings` is the command."""
    return subprocess.run(
        ["bash", "-c", f'tidings() {{ {COMMAND} "$@"; }}; {line}'],
        cwd=project.folder,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )


def insert(project: Project, type_name: str, body: str = "{}") -> None:
    """Insert a row as an application does that passes our checks by."""
    engine = create_engine(f"sqlite:///{project.folder}/events.db")
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO event (type_name, body, occurred_on) VALUES (:t, :b, :o)"),
            {"t": type_name, "b": body, "o": "2026-01-01 00:00:00.000000"},
        )
    engine.dispose()


@contextmanager
def process(project: Project, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process whose output is read through pipes; kill it if it is left."""
    with subprocess.Popen(
        command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("tidings status >&-", "Standard output is closed"),
        ("tidings status >/dev/full", "Cannot write to standard output: No space left"),
        ("tidings status --json >/dev/full", "Cannot write to standard output: No space left"),
        ("tidings check >/dev/full", "Cannot write to standard output: No space left"),
        ("tidings plugins >&-", "Standard output is closed"),
        ("tidings schema >/dev/full", "Cannot write to standard output: No space left"),
        ("tidings --help >/dev/full", "Cannot write to standard output: No space left"),
        ("tidings status --help >&-", "Standard output is closed"),
        ("tidings append <&-", "Cannot read standard input"),
        ("tidings spread >&-", "cannot write to standard output"),
        ("tidings spread >/dev/full", "cannot write to standard output: No space left"),
        ("tidings run >&-", "cannot write to standard output"),
    ],
)
def test_a_stream_that_cannot_be_used_is_told_in_a_sentence(
    project: Project, line: str, sentence: str
) -> None:
    project.configure(TO_STDOUT)
    project.append_numbers(1, 1)

    done = shell(project, line)

    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert sentence in said
    assert "Traceback" not in said
    assert "Exception ignored" not in said


def test_without_standard_error_a_command_still_works(project: Project) -> None:
    project.append_numbers(1, 2)

    assert shell(project, "tidings spread 2>&-").stdout == b"2 notification(s) sent!\n"
    assert shell(project, "tidings spread nowhere 2>/dev/full").returncode == 2


def test_no_file_of_ours_takes_the_number_of_a_closed_stream(project: Project) -> None:
    project.append_numbers(1, 1)
    database = (project.folder / "events.db").read_bytes()

    done = shell(project, "tidings status <&- >&- 2>&-")

    assert done.returncode == 1
    assert (project.folder / "events.db").read_bytes() == database


def test_a_closed_pipe_ends_a_run_and_nothing_is_counted_as_sent(project: Project) -> None:
    project.configure(TO_STDOUT)
    with process(project, *COMMAND.split(), "run") as relay:
        assert relay.stdout is not None
        relay.stdout.close()
        relay.stdout = None
        project.append_numbers(1, 1)
        _, said = relay.communicate(timeout=30)

    assert relay.returncode == 1
    assert b"Error: Exchange 'orders': cannot write to standard output: Broken pipe." in said
    assert project.status("orders")["last_published_id"] is None
    assert project.status("orders")["relay"] is None


def test_an_output_that_does_not_wait_by_itself_is_waited_for() -> None:
    outside, inside = os.pipe()
    os.set_blocking(inside, False)
    with suppress(BlockingIOError):
        while True:
            os.write(inside, b" " * 4096)
    output = io.BufferedWriter(StandardOutput(inside, "w"))

    def write() -> None:
        output.write(b"all of it\n")
        output.close()

    writer = threading.Thread(target=write)
    writer.start()
    writer.join(0.2)  # it is over at once if it does not wait
    os.set_blocking(outside, False)
    found = b""

    def is_over() -> bool:
        nonlocal found
        with suppress(BlockingIOError):
            while data := os.read(outside, 65_536):
                found += data
            return True
        return False

    eventually(is_over, "the pipe to be closed")
    writer.join()
    os.close(outside)
    assert found.endswith(b" all of it\n")


def test_a_listener_whose_reader_has_gone_acknowledges_nothing(
    project: Project, rabbitmq: StreamBroker
) -> None:
    project.configure(
        TO_STDOUT.replace("jsonlines", "rabbitmq").replace("orders", "closed-pipe")
        + f'[producers.rabbitmq]\nurl = "{rabbitmq.url}"\n'
    )
    project.append_numbers(1, 2)
    project.succeed("spread")

    for line in ("tidings listen >&-", "tidings listen >/dev/full", "tidings listen | true"):
        assert shell(project, f"set -o pipefail; {line}").returncode == 1, line

    got = project.succeed("listen", "--count", "2", "--timeout", "10").lines
    assert [line["body"]["n"] for line in got] == [1, 2]


def test_what_the_locale_lacks_and_half_characters_are_escaped_as_json(
    project: Project, rabbitmq: StreamBroker
) -> None:
    project.configure(
        TO_STDOUT.replace("jsonlines", "rabbitmq").replace("orders", "half-characters")
        + f'[producers.rabbitmq]\nurl = "{rabbitmq.url}"\n'
    )
    insert(project, "Bestellt", r'{"half": "\ud800", "csi": "\u009b31m", "euro": "€", "big": "😀"}')
    project.succeed("spread")

    done = shell(project, "tidings listen --count 1 --timeout 10", PYTHONIOENCODING="latin-1")

    assert done.returncode == 0, done.stderr
    assert b"\x9b" not in done.stdout
    assert json.loads(done.stdout.decode("latin-1"))["body"] == {
        "half": "\ud800",
        "csi": "\x9b31m",
        "euro": "€",
        "big": "😀",
    }


def test_foreign_text_is_escaped_wherever_it_is_shown(project: Project) -> None:
    insert(project, EVIL, "{")
    text = (project.folder / "tidings.toml").read_text()

    said = project.run("spread").err + project.succeed("status").out + project.run("check").out
    with project.running("run") as relay:
        relay.wait_for_log("cannot be serialized")
        assert relay.terminate() == 0
        said += relay.err
    project.configure(
        text.replace("[exchanges.orders]", '[exchanges.orders]\non_poison = "quarantine"')
    )
    said += project.succeed("spread").out
    said += project.succeed("quarantine", "list").out
    said += project.succeed("quarantine", "list", "--json").out

    assert said.count(r"A\x1b]0;owned\x07\n2026") >= 3
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(said)
    assert not [line for line in said.splitlines() if line.startswith("2026-01-01T00:00:00Z")]


def test_the_number_of_notifications_stands_outside_the_lines(project: Project) -> None:
    project.configure(TO_STDOUT)
    project.append_numbers(1, 2)

    result = project.succeed("spread")

    assert [line["event_id"] for line in result.lines] == [1, 2]
    assert result.err == "2 notification(s) sent!\n"
    nothing = project.succeed("spread")
    assert (nothing.out, nothing.err) == ("", "0 notification(s) sent!\n")


def test_a_plugin_that_prints_does_not_get_into_json(project: Project) -> None:
    site = project.folder / "site"
    (site / "noisy-1.0.dist-info").mkdir(parents=True)
    (site / "noisy-1.0.dist-info" / "METADATA").write_text("Name: noisy\nVersion: 1.0\n")
    (site / "noisy-1.0.dist-info" / "entry_points.txt").write_text("[tidings]\nnoisy = noisy\n")
    (site / "noisy.py").write_text(
        "import os\n"
        "from tidings.plugins import Observer, ObserverSpec, Settings, hookimpl\n"
        "print('imported')\nos.system('echo a child of mine')\n"
        "class Noisy(Observer):\n"
        "    def published(self, *_):\n        print('published')\n"
        "@hookimpl\ndef tidings_observers():\n"
        "    return [ObserverSpec(name='noisy', settings=Settings, factory=lambda _: Noisy())]\n"
    )
    project.append_numbers(1, 2)
    project.configure(TO_STDOUT + "[observers.noisy]\n")
    environment = {"PYTHONPATH": f"{site}:{Path.cwd()}"}

    for command in ("plugins --json", "status --json", "check"):
        done = shell(project, f"tidings {command}", **environment)
        assert done.returncode == 0, done.stderr
        assert b"imported\n" in done.stderr
        assert b"a child of mine\n" in done.stderr
        assert b"imported" not in done.stdout
        assert b"a child" not in done.stdout
    spread = shell(project, "tidings spread", **environment)
    assert [json.loads(line)["event_id"] for line in spread.stdout.splitlines()] == [1, 2]
    assert b"published\n" in spread.stderr


def test_events_may_begin_with_the_mark_that_windows_puts_there(project: Project) -> None:
    line = b'\xef\xbb\xbf{"type_name": "A", "body": 1}\n'

    assert project.succeed("append", stdin=line).out == "1 event(s) appended.\n"
    assert project.run("append", stdin=line + line).code == 1  # only in front of all


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a process the first one")
def test_sigterm_ends_a_listener_that_is_the_first_process(
    project: Project, rabbitmq: StreamBroker
) -> None:
    project.configure(
        TO_STDOUT.replace("jsonlines", "rabbitmq").replace("orders", "first-process")
        + f'[producers.rabbitmq]\nurl = "{rabbitmq.url}"\n'
    )
    project.append_numbers(1, 1)
    project.succeed("spread")
    command = ("unshare", "--pid", "--fork", "--mount-proc", *COMMAND.split(), "listen")
    with process(project, *command) as outside:
        assert outside.stdout is not None
        assert json.loads(outside.stdout.readline())["event_id"] == 1
        (child,) = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)

        assert outside.wait(10) == 143
        assert outside.stderr is not None
        assert outside.stderr.read().strip() == b""


def test_sigterm_gives_the_lease_of_spread_back(project: Project) -> None:
    project.configure(TO_STDOUT)
    project.append_numbers(1, 20_000)
    with process(project, *COMMAND.split(), "spread") as relay:
        # Nobody reads: it waits, with its lease, for room in the pipe.
        eventually(lambda: project.status("orders")["relay"], "the lease", 60)
        relay.terminate()
        assert relay.stdout is not None
        relay.stdout.read()
        assert relay.wait(10) == 143

    assert project.status("orders")["relay"] is None
