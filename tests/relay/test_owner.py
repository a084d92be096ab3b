"""A relay's name tells whether its process still lives, and never says so of a living one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.relay.parts import Parts, X
from tidings import LeaseHeldError
from tidings.relay.owner import Owner, is_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = "from tidings.relay.owner import Owner; print(Owner(), flush=True); input()"


@pytest.fixture
def relay() -> Iterator[subprocess.Popen[str]]:
    """Give another process that has an owner's name, and prints it."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def name_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_relays_of_one_process_have_two_names() -> None:
    assert str(Owner()) != str(Owner())


def test_a_relay_keeps_its_name() -> None:
    owner = Owner()

    assert len({str(owner) for _ in range(3)}) == 1


def test_the_name_is_for_people_and_fits_the_column() -> None:
    assert f"pid={os.getpid()} " in str(Owner())
    assert str(Owner()).startswith("host=")
    assert len(str(Owner())) < 255


def test_a_living_process_is_not_gone(relay: subprocess.Popen[str]) -> None:
    assert not is_gone(name_of(relay))
    assert not is_gone(str(Owner()))


def test_a_killed_process_is_gone(relay: subprocess.Popen[str]) -> None:
    owner = name_of(relay)
    relay.kill()
    relay.wait()

    assert is_gone(owner)


def test_a_killed_process_that_nobody_has_waited_for_is_gone(
    relay: subprocess.Popen[str],
) -> None:
    owner = name_of(relay)
    relay.kill()
    os.waitid(os.P_PID, relay.pid, os.WEXITED | os.WNOWAIT)

    assert is_gone(owner)


def test_a_frozen_process_is_not_gone(relay: subprocess.Popen[str]) -> None:
    owner = name_of(relay)
    relay.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, relay.pid, os.WSTOPPED | os.WNOWAIT)

    assert not is_gone(owner)


def test_another_process_with_the_same_id_is_not_the_holder() -> None:
    owner = str(Owner())
    started = owner.partition("started=")[2].partition(" ")[0]

    assert is_gone(owner.replace(f"started={started}", "started=1"))


@pytest.mark.parametrize(
    "owner",
    [
        "",
        "somebody",
        "host=a pid=1 started=1 machine=0123456789ab",
        "host=a relay=1 pid=\u00b2 started=1 machine=x",
    ],
)
def test_of_other_machines_nothing_is_known(owner: str) -> None:
    assert not is_gone(owner)


@pytest.mark.parametrize("text", ["pid=99999999999999999999", "pid=-1", "pid=", "pid=\u0663"])
def test_a_process_id_that_is_none_is_not_gone(text: str) -> None:
    owner = str(Owner())

    assert not is_gone(owner.replace(f"pid={os.getpid()}", text))


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])
def test_a_process_that_we_may_not_see_is_not_gone(
    monkeypatch: pytest.MonkeyPatch, relay: subprocess.Popen[str], error: type[OSError]
) -> None:
    # As /proc mounted with hidepid=1 or 2 has it; mounting it so would change the machine.
    owner = name_of(relay)

    def hidden(_path: Path) -> NoReturn:
        raise error

    monkeypatch.setattr(Path, "read_bytes", hidden)

    assert not is_gone(owner)


def test_a_fork_is_another_relay() -> None:
    owner = Owner()
    before = str(owner)
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, str(owner).encode())
        os._exit(0)
    os.waitpid(child, 0)
    in_child = os.read(read, 1000).decode()
    os.close(read)
    os.close(write)

    assert in_child != before == str(owner)
    assert is_gone(in_child)


def test_the_lease_of_a_dead_relay_of_this_machine_is_taken_at_once(
    parts: Parts, relay: subprocess.Popen[str]
) -> None:
    parts.append(3)
    parts.tracker.acquire_lease(X, name_of(relay), 3600)
    with pytest.raises(LeaseHeldError):
        parts.service().publish_notifications(X)

    relay.kill()
    relay.wait()

    assert parts.service().publish_notifications(X) == 3


def test_the_lease_of_another_machine_is_left_alone(parts: Parts) -> None:
    parts.append(3)
    parts.tracker.acquire_lease(X, "host=other pid=1 started=1 machine=0123456789ab", 3600)

    with pytest.raises(LeaseHeldError, match="is relayed by host=other pid=1"):
        parts.service().publish_notifications(X)
    assert parts.ids() == []
