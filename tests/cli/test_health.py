"""What `tidings run` says of itself over HTTP, and `tidings health` asks, while brokers die."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.test_run import RABBITMQ, reaches
from tests.docs.rights import PAGE
from tests.servers import free_port
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.command import Project
    from tests.servers import PostgreSQL, RabbitMQ

WORKS = 'tidings_exchange_state{exchange="orders",state="idle"} 1.0'


class Relay:
    """Asks the relay at that port."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ask(self, path: str) -> tuple[int, Any]:
        """Return status and what was said."""
        try:
            with urllib.request.urlopen(self._url + path, timeout=20) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
        except OSError:
            return 0, None  # it doesn't listen yet, or any more

    def read(self, path: str) -> str:
        """Return what is there."""
        with urllib.request.urlopen(self._url + path, timeout=20) as answer:  # noqa: S310
            text: str = answer.read().decode()
        return text

    def becomes(self, path: str, status: int) -> Any:
        """Wait until a page answers with ``status``; `/livez` must be well all the while."""

        def does() -> bool:
            assert self.ask("/livez")[0] in {200, 0}
            return self.ask(path)[0] == status

        eventually(does, f"{status} at {path}", 90)
        return self.ask(path)[1]


@pytest.fixture
def relay(project: Project) -> Relay:
    """Let the project's relay answer over HTTP."""
    return listen(project)


def listen(project: Project) -> Relay:
    port = free_port()
    (setting,) = re.findall(r"^```toml\n(\[relay\]\n.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert "9464" in setting
    with (project.folder / "tidings.toml").open("a") as file:
        file.write(setting.replace("9464", str(port)))
    return Relay(port)


def test_a_relay_that_works_is_live_ready_and_started_and_shows_its_status(
    project: Project, relay: Relay
) -> None:
    project.append_numbers(1, 3)
    with project.running("run") as running:
        reaches(project, 3)
        ready = relay.becomes("/readyz", 200)
        eventually(lambda: project.status("orders")["events_behind"] == 0, "the position", 30)
        shown, said = relay.ask("/status"), project.succeed("status", "--json").out
        for word in ("live", "ready", "started"):
            assert project.succeed("health", "--is", word).out == ""
        assert relay.ask("/startedz")[0] == 200
        assert running.terminate() == 0

    assert ready["exchanges"]["orders"]["state"] == "working"
    assert shown == (200, json.loads(said))
    assert project.run("health").code == 1


def test_metrics_are_what_an_observer_shows_and_without_one_it_is_said_how_to_have_them(
    project: Project, relay: Relay
) -> None:
    with project.running("run"):
        relay.becomes("/readyz", 200)
        without = relay.ask("/metrics")
    with (project.folder / "tidings.toml").open("a") as file:
        file.write("[observers.prometheus]\n")
    with project.running("run"):
        relay.becomes("/readyz", 200)
        eventually(
            lambda: WORKS in relay.read("/metrics"), "an exchange that has nothing to send", 60
        )

    assert without == (404, {"error": "No observer shows metrics: add [observers.prometheus]."})


@pytest.mark.chaos
def test_a_broker_that_is_killed_and_comes_back_makes_it_unready_and_ready_and_never_dead(
    project: Project, own_rabbitmq: Callable[..., RabbitMQ]
) -> None:
    broker = own_rabbitmq()
    project.configure(RABBITMQ.format(exchange="orders", url=broker.url))
    relay = listen(project)
    project.append_numbers(1, 1)
    with project.running("run") as running:
        relay.becomes("/readyz", 200)
        broker.kill()
        said = relay.becomes("/readyz", 503)
        asked, alive = project.run("health", "--is", "ready"), project.run("health")
        broker.restart()
        relay.becomes("/readyz", 200)
        assert running.terminate() == 0

    assert (said["ready"], said["exchanges"]["orders"]["state"]) == (False, "failing")
    assert "guest:guest" not in json.dumps(said)
    assert (alive.code, asked.code) == (0, 1)
    assert "is not ready: orders is failing (" in asked.err


@pytest.mark.chaos
def test_it_answers_while_its_broker_hangs(
    project: Project, own_rabbitmq: Callable[..., RabbitMQ]
) -> None:
    broker = own_rabbitmq()
    project.configure(RABBITMQ.format(exchange="orders", url=broker.url))
    relay = listen(project)
    with project.running("run"):
        relay.becomes("/readyz", 200)
        broker.freeze()
        project.append_numbers(1, 1)
        eventually(
            lambda: relay.ask("/livez")[1]["exchanges"]["orders"]["silent_seconds"] > 3,
            "a thread that waits for its broker",
            60,
        )

        assert relay.ask("/livez")[0] == 200
        assert relay.ask("/status")[1]["exchanges"][0]["events_behind"] == 1
        broker.thaw()


@pytest.mark.chaos
def test_a_database_that_hangs_leaves_no_status_and_a_live_relay(
    project: Project, own_postgresql: Callable[..., PostgreSQL]
) -> None:
    server = own_postgresql()
    text = (project.folder / "tidings.toml").read_text()
    project.configure(text.replace("sqlite:///events.db", server.new_database()))
    project.succeed("init", "--tables")
    relay = listen(project)
    with project.running("run"):
        relay.becomes("/readyz", 200)
        server.freeze()

        assert "has not answered for" in relay.becomes("/status", 503)["error"]
        assert relay.ask("/livez")[0] == 200
        server.thaw()
        relay.becomes("/status", 200)


def test_a_broker_that_is_down_from_the_start_lets_it_start_and_not_be_ready(
    project: Project,
) -> None:
    url = f"amqp://app:geheim@127.0.0.1:{free_port()}/"
    project.configure(RABBITMQ.format(exchange="orders", url=url))
    relay = listen(project)
    with project.running("run"):
        relay.becomes("/startedz", 200)
        status, said = relay.ask("/readyz")

    assert status == 503
    assert "geheim" not in json.dumps(said)


def test_a_standby_is_ready(project: Project, relay: Relay) -> None:
    with project.running("run"):
        relay.becomes("/readyz", 200)
        port = free_port()
        with project.running("run", TIDINGS_RELAY__HTTP=f"127.0.0.1:{port}"):
            said = Relay(port).becomes("/readyz", 200)

    assert said["exchanges"]["orders"]["state"] == "standing by"


def test_a_port_that_is_taken_ends_the_start_with_a_sentence(
    project: Project,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        result = project.run("run", TIDINGS_RELAY__HTTP=address)

    assert result.code == 1
    assert f"Error: Cannot listen at {address} (`http` in [relay]): Address already" in result.err


def test_without_the_setting_nothing_listens_and_health_says_what_is_missing(
    project: Project,
) -> None:
    with project.running("run") as running:
        running.wait_for_log("carried by this relay")
        result = project.run("health")
        log = running.err

    assert result.code == 2
    assert 'relay.http: missing, and the relay is asked there. Add http = "127.0' in result.err
    assert "http://" not in log


@pytest.mark.parametrize("http", ["9464", ":9464", "127.0.0.1:0", "127.0.0.1:70000", "::1:9464"])
def test_what_is_no_address_is_a_fault_that_says_how_one_is_written(
    project: Project, http: str
) -> None:
    result = project.run("run", TIDINGS_RELAY__HTTP=http)

    assert result.code == 2
    assert "relay.http: HOST:PORT is wanted" in result.err


def test_what_answers_and_is_no_relay_is_not_live(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        other.close()

        result = project.run("health", TIDINGS_RELAY__HTTP=address)

    assert result.code == 1
    assert f"Error: No relay answers at {address}: " in result.err
