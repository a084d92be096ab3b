"""What `check` tries; "another publisher" is a relay only while one holds the exchange."""

from __future__ import annotations

import socket
import uuid
from typing import TYPE_CHECKING

from tests.activemq.client import Client
from tests.servers import free_port
from tidings.testing import eventually

if TYPE_CHECKING:
    from tests.command import Project, Result
    from tests.servers.given import Broker

ZEROMQ = """
[event_store]
url = "sqlite:///events.db"

[exchanges.orders]
producer = "zeromq"

[producers.zeromq]
bind = "{bind}"
"""
ACTIVEMQ = """
[event_store]
url = "sqlite:///events.db"

[exchanges.{exchange}]
producer = "activemq"

[producers.activemq]
url = "{url}"
token_timeout = 0.5
"""


def test_check_names_each_part_and_fails_with_the_broker(project: Project) -> None:
    assert project.succeed("check").out.count("ok ") == 4

    port = free_port()
    result = project.run(
        "check",
        TIDINGS_EXCHANGES__ORDERS__PRODUCER="rabbitmq",
        TIDINGS_PRODUCERS__RABBITMQ__URL=f"amqp://app:geheim@127.0.0.1:{port}/",
    )

    assert result.code == 1
    assert "FAILED  exchange orders" in result.out
    assert str(port) in result.out
    assert "geheim" not in result.out + result.err


def test_check_shows_every_problem_of_the_configuration_at_once(empty: Project) -> None:
    empty.configure(
        '[event_stor]\nurl = "x"\n[event_store]\nurl = "nothing"\n'
        '[exchanges.orders]\nproducer = "jsonline"\nbatch_sise = 3\n'
    )

    result = empty.run("check")

    assert result.code == 2
    for hint in ("event_stor:", "event_store.url", "'jsonlines'", "'batch_size'"):
        assert hint in result.out


def fails(project: Project, exchange: str, words: str) -> Result:
    checked = project.run("check")
    assert checked.code == 1, checked
    assert f"FAILED  exchange {exchange}: " in checked.out
    assert words in checked.out
    assert f"ok      exchange {exchange}" not in checked.out
    return checked


def test_a_program_of_others_at_our_port_is_no_relay(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        project.configure(ZEROMQ.format(bind=f"tcp://127.0.0.1:{stranger.getsockname()[1]}"))
        checked = fails(project, "orders", "is taken, by another relay or another program")

    assert "No relay of this configuration is publishing" in checked.out
    assert project.succeed("check").out.endswith("ok      exchange orders: zeromq\n")


def test_a_relay_that_holds_the_exchange_at_our_port_is_well(project: Project) -> None:
    project.configure(ZEROMQ.format(bind=f"tcp://127.0.0.1:{free_port()}"))
    with project.running("run") as relay:
        relay.wait_for_log("carried by this relay")
        assert f":{relay.process.pid}\n" in project.succeed("check").out
        assert relay.terminate() == 0


def test_a_program_that_takes_a_killed_relays_port_is_no_relay(project: Project) -> None:
    port = free_port()
    project.configure(ZEROMQ.format(bind=f"tcp://127.0.0.1:{port}"))
    with project.running("run") as relay:
        relay.wait_for_log("carried by this relay")
        relay.process.kill()
        relay.process.wait()
    with socket.create_server(("127.0.0.1", port)):
        # The dead relay's lease still runs.
        fails(project, "orders", "No relay of this configuration is publishing")


def test_a_relay_that_a_program_of_others_keeps_out_is_told_as_failing(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        project.configure(ZEROMQ.format(bind=f"tcp://127.0.0.1:{stranger.getsockname()[1]}"))
        with project.running("run") as relay:
            eventually(lambda: project.status("orders")["state"] == "failing", "the failure", 60)
            fails(project, "orders", "is taken, by another relay or another program")
            assert relay.terminate() == 0


def test_a_folder_at_our_ipc_path_is_no_relay(project: Project) -> None:
    folder = project.folder / "taken.ipc"
    folder.mkdir()
    project.configure(ZEROMQ.format(bind=f"ipc://{folder}"))

    fails(project, "orders", "a folder is there. Correct `bind`")


def test_a_program_of_others_that_holds_activemqs_token_is_no_relay(
    project: Project, activemq: Broker
) -> None:
    exchange = f"orders-{uuid.uuid4().hex[:8]}"
    project.configure(ACTIVEMQ.format(exchange=exchange, url=activemq.url))
    project.append_numbers(1, 1)
    project.succeed("spread")
    with Client(activemq.url) as stranger:
        stranger.subscribe(f"/queue/{exchange}.tracker")
        assert stranger.frame(5)
        checked = fails(project, exchange, "No relay of this configuration is publishing")
        assert "If no relay runs, another program reads" in checked.out
    with project.running("run") as relay:
        relay.wait_for_log("carried by this relay")
        assert f"ok      exchange {exchange}: activemq; carried by" in project.succeed("check").out
        assert relay.terminate() == 0
