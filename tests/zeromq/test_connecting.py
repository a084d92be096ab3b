"""Names and addresses of every kind, places that are taken, forks, and no descriptor left."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.servers.process import free_port
from tests.zeromq.events import EXCHANGE
from tests.zeromq.names import needs_names, run_with_names
from tests.zeromq.readers import Reader
from tidings.plugins import BrokerRefusedError, BrokerUnavailableError, ExchangeLockedError
from tidings.testing import eventually
from tidings_zeromq import Subscriber, contact
from tidings_zeromq.pub.consumer import ZeroMQPubConsumer
from tidings_zeromq.pub.settings import ZeroMQPubSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.zeromq.conftest import MakeRelay

WITH_NAMES = """
import sys
from tests.zeromq.events import EXCHANGE, Store, event
from tests.zeromq.readers import Reader
from tidings.plugins import Position
from tidings_zeromq import contact
from tidings_zeromq.producer import ZeroMQProducer
from tidings_zeromq.settings import ZeroMQSettings

contact.RENEW_SECONDS = 0.2
bind, *addresses = sys.argv[1:]
names = [f"app{n}" for n in range(len(addresses))]
producer = ZeroMQProducer(ZeroMQSettings(bind=bind, subscribers=names), Store().context)
producer.open(EXCHANGE, Position(0))
readers = [Reader(address, name) for address, name in zip(addresses, names)]
for each in readers:
    each.__enter__()
producer.send(EXCHANGE, *event(1))
producer.flush(EXCHANGE)
print([each.ids for each in readers])
for each in readers:
    each.__exit__()
producer.close(EXCHANGE)
"""


@needs_names
@pytest.mark.parametrize(
    ("bind", "hosts"),
    [
        ("tcp://*:{}", ["six.test", "both.test", "127.0.0.1", "[::1]"]),
        ("tcp://six.test:{}", ["six.test", "both.test", "[::1]"]),
        ("tcp://[::1]:{}", ["both.test"]),
        ("tcp://both.test:{}", ["both.test", "127.0.0.1"]),
    ],
)
def test_names_of_either_version_of_ip_are_reached(
    tmp_path: Path, bind: str, hosts: list[str]
) -> None:
    port = free_port()
    addresses = [f"tcp://{host}:{port}" for host in hosts]
    found = run_with_names(tmp_path, WITH_NAMES, bind.format(port), *addresses)

    assert found.stdout == f"{[[1]] * len(hosts)}\n", found.stderr


def test_a_host_that_is_not_known_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with Subscriber(
        connect="tcp://nobody.invalid:5556", exchange_name=EXCHANGE, name="app"
    ) as nobody:
        nobody.receive(0.1)
        nobody.close()
        nobody.open()

    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(
        "Subscriber 'app' of exchange 'my-bc-app': the host of tcp://nobody.invalid:5556 is not "
        "known ("
    )


def test_a_host_that_cannot_be_looked_up_is_not_said_to_be_unknown(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "getaddrinfo", cannot)
    with Subscriber(connect="tcp://127.0.0.1:1", exchange_name=EXCHANGE, name="app"):
        pass
    lossy = ZeroMQPubConsumer(ZeroMQPubSettings(connect="tcp://127.0.0.1:1"))
    with pytest.raises(BrokerUnavailableError) as refused:
        lossy.open(EXCHANGE)

    (said,) = [record.getMessage() for record in caplog.records]
    for each in (said, str(refused.value)):
        assert "the host of tcp://127.0.0.1:1 cannot be looked up (Too many open files)" in each


def test_a_relay_that_is_not_there_is_told_once(
    address: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact, "RENEW_SECONDS", 0.05)
    with Subscriber(connect=address, exchange_name=EXCHANGE, name="app") as nobody:
        nobody.receive(0.5)

    (said,) = [record.getMessage() for record in caplog.records]
    assert said == (
        f"Subscriber 'app' of exchange 'my-bc-app': nothing answers at {address}. "
        "It goes on trying."
    )


def test_what_is_no_socket_at_an_ipc_path_is_refused_and_stays(
    make_relay: MakeRelay, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("precious")
    for name, what in {"folder": "a folder", "file": "a file"}.items():
        with pytest.raises(BrokerRefusedError, match=f"{what} is there. Correct `bind`"):
            make_relay(bind=f"ipc://{tmp_path}/{name}").open()

    assert (tmp_path / "file").read_text() == "precious"


def test_another_programs_unix_socket_is_not_taken_over(
    make_relay: MakeRelay, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(path))
        stranger.listen()
        with pytest.raises(ExchangeLockedError, match="taken, by another program"):
            make_relay(bind=f"ipc://{path}").open()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    relay = make_relay(bind=f"ipc://{path}")
    relay.open()  # what the stranger left behind is in nobody's way


def test_a_fork_of_the_process_ends_and_harms_nothing(make_relay: MakeRelay) -> None:
    relay = make_relay()
    relay.open()
    app = Subscriber(connect=relay.address, exchange_name=EXCHANGE, name="app", last_id=0)
    with app:
        child = os.fork()
        if child == 0:
            code = 1
            with suppress(BaseException):
                try:
                    app.receive(0)
                except RuntimeError as error:
                    code = 0 if "another process" in str(error) else 2
                app.close()
                relay.close()
            os._exit(code)
        status: list[int] = []

        def ended() -> bool:
            pid, code = os.waitpid(child, os.WNOHANG)
            status[:] = [code] if pid else []
            return bool(status)

        eventually(ended, "the child to end", 60)
        assert os.waitstatus_to_exitcode(status[0]) == 0

        relay.send(1)
        found: list[str] = []

        def came() -> bool:
            message = app.receive(0)
            if message is not None:
                found.append(message.message_id)
                app.acknowledge(message)
            return relay.accepted_id == 1

        relay.wait_until(came, "the event to be acknowledged")
    assert found == ["1"]


EXHAUSTED = """
import logging, os, resource, sys, time, zmq
from tests.zeromq.events import EXCHANGE, Store, event
from tests.zeromq.readers import Reader
from tidings.plugins import Position
from tidings.testing.waiting import until
from tidings_zeromq.producer import ZeroMQProducer
from tidings_zeromq.settings import ZeroMQSettings

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
logging.basicConfig(stream=sys.stdout, format="%(message)s")
address = sys.argv[1]
producer = ZeroMQProducer(ZeroMQSettings(bind=address), Store().context)
opened = producer.open(EXCHANGE, Position(0))
with Reader(address) as app:
    producer.send(EXCHANGE, *event(1))
    producer.flush(EXCHANGE)
    taken = []
    while True:
        try:
            taken.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            break
    print("full", flush=True)
    sys.stdin.readline()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        producer.wait(EXCHANGE, 0.1)
    producer.send(EXCHANGE, *event(2))
    producer.flush(EXCHANGE)
    for each in taken:
        os.close(each)
    print("free", flush=True)
    producer.wait(EXCHANGE, 0.1)
    until(lambda: producer.wait(EXCHANGE, 0.1) or len(opened.connected()) > 1, 60)
    print("ids", *app.ids, flush=True)
os._exit(0)
"""


TOO_FEW = """
import os, resource, sys
from tidings.plugins import BrokerUnavailableError
from tidings_zeromq import Subscriber

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
while True:
    try:
        taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        break
for each in taken[:6]:  # what libzmq's threads need, without which it aborts, and one socket's
    os.close(each)
try:
    Subscriber(connect=sys.argv[1], exchange_name="orders", name="app").open()
except BrokerUnavailableError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="libzmq needs another number elsewhere")
def test_a_subscriber_that_gets_no_socket_says_so() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", TOO_FEW, "tcp://127.0.0.1:1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.stderr == ""
    assert ran.stdout.endswith(
        "no socket for tcp://127.0.0.1:1 can be opened: Too many open files.\n"
    )


def test_without_a_descriptor_left_who_connects_is_refused_and_told_of() -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [sys.executable, "-c", EXHAUSTED, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as relay:
        assert relay.stdin is not None
        assert relay.stdout is not None
        try:
            assert relay.stdout.readline() == "full\n"
            with Reader(address, "late", last_id=0):
                relay.stdin.write("go\n")
                relay.stdin.flush()
                said = relay.stdout.read().splitlines()
        finally:
            relay.kill()

    assert said[0] == "Subscribers cannot connect: too many open files (`ulimit -n`)."
    assert said[1:] == ["free", "ids 1 2"]
