"""What systemd hears of a relay, at a socket as systemd's."""

from __future__ import annotations

import re
import socket
import threading
import time
import uuid
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.cli.projects import ONE
from tests.command import Project
from tests.relay.parts import Producer
from tests.relay.working import running
from tidings.health.systemd import notifying
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.relay.parts import Parts

STUCK = re.compile(
    r"STATUS=1 exchange\(s\): 1 working; x: its thread has taken no step for [0-9]+ s"
)

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidings.health.systemd.LOOK_AGAIN", 0.05)


class Systemd:
    """Hears, as systemd does."""

    def __init__(self, address: str) -> None:
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0"))
        self.address = address
        self._thread = threading.Thread(target=self._hear)
        self._thread.start()

    def of(self, word: str) -> list[str]:
        return [line for line in self.heard if line.startswith(word)]

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address.replace("@", "\0"))
        self._thread.join()
        self._socket.close()

    def _hear(self) -> None:
        while message := self._socket.recv(65536):
            self.heard += message.decode().split("\n")


@contextmanager
def listening(address: str) -> Iterator[Systemd]:
    with closing(Systemd(address)) as systemd:
        yield systemd


def test_a_relay_tells_that_it_is_ready_alive_and_stopping(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.configure(ONE)
    project.succeed("init", "--tables")
    address = f"@tidings-{uuid.uuid4().hex}"
    with (
        listening(address) as systemd,
        project.running("run", NOTIFY_SOCKET=address, WATCHDOG_USEC="900000") as relay,
    ):
        eventually(lambda: len(systemd.of("WATCHDOG=1")) >= 3, seconds=60)
        eventually(lambda: "STATUS=1 exchange(s): 1 working" in systemd.heard, seconds=60)
        assert relay.terminate() == 0
        heard = list(systemd.heard)

    assert heard[0] == "READY=1"
    assert heard[-2:] == ["STOPPING=1", "STATUS=stopping"]


def test_no_watchdog_is_fed_for_a_thread_that_hangs_and_it_is_said(
    parts: Parts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(str(tmp_path / "notify")) as systemd:
        environ = {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "150000"}
        parts.producer = Producer(parts.broker, no_progress=60)
        flushed = parts.route(capabilities=frozenset())  # in which it hangs
        with running(flushed) as worker, notifying(environ, worker, 1.0):
            eventually(lambda: "STATUS=1 exchange(s): 1 working" in systemd.heard)
            eventually(lambda: systemd.of("WATCHDOG"))
            parts.broker.freeze()
            parts.append(1)
            eventually(lambda: not worker.vitals()[0].is_live(1.0))
            eventually(lambda: any(STUCK.fullmatch(line) for line in systemd.heard))
            eventually(lambda: "watchdog is fed no longer. x: its thread has taken" in caplog.text)
            fed = len(systemd.of("WATCHDOG"))
            threading.Event().wait(0.5)
            assert len(systemd.of("WATCHDOG")) <= fed + 1  # one may have been under way
            parts.broker.thaw()
            eventually(lambda: len(systemd.of("WATCHDOG")) > fed + 2)
            worker.shut_down()


def test_the_status_says_in_one_line_what_is_wrong(parts: Parts, tmp_path: Path) -> None:
    def down(_event_id: int) -> None:
        raise ValueError("two\nlines" + "x" * 1000)

    parts.append(1)
    parts.producer.before_send = down
    with listening(str(tmp_path / "notify")) as systemd:
        environ = {"NOTIFY_SOCKET": systemd.address}
        with running(parts.route()) as worker, notifying(environ, worker, 60):
            eventually(lambda: any("failing" in line for line in systemd.of("STATUS=")))
            (line,) = [line for line in systemd.of("STATUS=") if "failing" in line][:1]
            worker.shut_down()

        assert systemd.of("WATCHDOG") == []  # nobody asked for it
    assert line.startswith(r"STATUS=1 exchange(s): 1 failing; x: ValueError: two\nlinesx")
    assert len(line) < 500


@pytest.mark.parametrize("pid", ["", "1"])
def test_the_watchdog_of_another_process_is_not_fed(parts: Parts, tmp_path: Path, pid: str) -> None:
    with listening(str(tmp_path / "notify")) as systemd:
        environ = {
            "NOTIFY_SOCKET": systemd.address,
            "WATCHDOG_USEC": "60000",
            "WATCHDOG_PID": pid,
        }
        with running(parts.route()) as worker, notifying(environ, worker, 60):
            eventually(lambda: "STATUS=1 exchange(s): 1 working" in systemd.heard)
            if not pid:
                eventually(lambda: systemd.of("WATCHDOG"))
            worker.shut_down()
        eventually(lambda: systemd.of("STOPPING=1"))

    assert bool(systemd.of("WATCHDOG")) == (not pid)


def test_a_relay_works_where_nobody_listens_at_the_socket(parts: Parts, tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "60000"}
    begun = time.monotonic()
    with running(parts.route()) as worker, notifying(environ, worker, 60):
        eventually(lambda: worker.vitals()[0].is_ready)
        worker.shut_down()

    assert time.monotonic() - begun < 30
