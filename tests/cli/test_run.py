"""`tidings run` as an operator meets it: brokers and databases come and go, so do relays."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.servers import free_port
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.command import Project
    from tests.servers import PostgreSQL, RabbitMQ
    from tests.servers.given import StreamBroker

RABBITMQ = """
[event_store]
url = "sqlite:///events.db"

[exchanges.{exchange}]
producer = "rabbitmq"

[producers.rabbitmq]
url = "{url}"
"""


def written(project: Project, exchange: str = "orders") -> list[int]:
    """Return the ids of the whole lines in the exchange's file."""
    file = project.folder / f"{exchange}.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line)["event_id"] for line in lines if line.endswith("\n")]


def lines_of(project: Project) -> list[str]:
    return (project.folder / "orders.jsonl").read_text().splitlines()


def reaches(project: Project, count: int, exchange: str = "orders") -> None:
    eventually(lambda: len(written(project, exchange)) >= count, f"{count} lines of {exchange}", 60)


def test_events_that_come_later_are_sent_too(project: Project) -> None:
    project.append_numbers(1, 10)
    with project.running("run") as relay:
        reaches(project, 10)
        project.append_numbers(11, 20)
        reaches(project, 20)
        assert relay.terminate() == 0

    assert written(project) == list(range(1, 21))


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_under_load_ends_well_and_nothing_is_sent_twice(
    project: Project, stop: signal.Signals
) -> None:
    project.append_numbers(1, 20_000)
    with project.running("run") as relay:
        reaches(project, 100)
        relay.process.send_signal(stop)
        assert relay.process.wait(60) == 0, relay.err
    done = len(written(project))

    assert project.status("orders")["last_published_id"] == done
    assert project.status("orders")["relay"] is None
    assert project.succeed("spread").out == f"{20_000 - done} notification(s) sent!\n"
    assert written(project) == list(range(1, 20_001))


@pytest.mark.chaos
def test_a_killed_relay_is_replaced_at_once_and_loses_nothing(project: Project) -> None:
    project.append_numbers(1, 20_000)
    with project.running("run") as relay:
        reaches(project, 100)
        relay.process.kill()
        relay.process.wait()

    with project.running("run") as relay:
        reaches(project, 20_000)
        relay.wait_for_log("taking over", seconds=1)
        assert relay.terminate() == 0

    assert written(project) == list(range(1, 20_001))


def test_a_limit_ends_the_run(project: Project) -> None:
    project.append_numbers(1, 10)

    project.succeed("run", "--limit", "4")

    assert written(project) == [1, 2, 3, 4]


def test_a_second_relay_stands_by_and_takes_over_from_the_first(project: Project) -> None:
    with project.running("run") as first:
        project.append_numbers(1, 1)
        reaches(project, 1)
        with project.running("run") as second:
            second.wait_for_log("standing by")
            project.append_numbers(2, 3)
            reaches(project, 3)
            assert first.terminate() == 0
            project.append_numbers(4, 5)
            reaches(project, 5)
            assert second.terminate() == 0

    assert written(project) == [1, 2, 3, 4, 5]


def test_a_replay_reaches_a_running_relay(project: Project) -> None:
    project.append_numbers(1, 3)
    with project.running("run") as relay:
        eventually(lambda: project.status("orders")["last_published_id"] == 3, "three events", 60)
        project.succeed("replay", "orders", "--from", "2")
        reaches(project, 5)
        assert relay.terminate() == 0

    assert written(project) == [1, 2, 3, 2, 3]


def test_a_dead_broker_of_one_exchange_delays_no_other(project: Project) -> None:
    with (project.folder / "tidings.toml").open("a") as file:
        file.write(
            '[exchanges.dead]\nproducer = "rabbitmq"\n'
            f'[producers.rabbitmq]\nurl = "amqp://app:geheim@127.0.0.1:{free_port()}/"\n'
        )
    with project.running("run") as relay:
        relay.wait_for_log("dead: ")
        project.append_numbers(1, 10)
        reaches(project, 10)
        eventually(lambda: relay.err.count("dead: ") >= 1, "the failure in the log", 60)
        assert relay.terminate() == 0
        log = relay.err

    assert log.count("Trying again until it works") == 1
    assert all(" error: " in line or " info: " in line for line in log.splitlines()), log
    assert "geheim" not in log


@pytest.mark.chaos
def test_a_lost_broker_is_logged_once_and_work_goes_on_when_it_is_back(
    project: Project, own_rabbitmq: Callable[..., RabbitMQ]
) -> None:
    broker = own_rabbitmq()
    project.configure(RABBITMQ.format(exchange="orders", url=broker.url))
    project.append_numbers(1, 5)
    with project.running("run") as relay:
        eventually(lambda: project.status("orders")["events_behind"] == 0, "the first events", 60)
        broker.kill()
        relay.wait_for_log("Trying again until it works")
        project.append_numbers(6, 10)
        broker.restart()
        relay.wait_for_log("works again after")
        eventually(lambda: project.status("orders")["events_behind"] == 0, "the others", 60)
        assert relay.terminate() == 0
        log = relay.err

    got = project.succeed("listen", "orders", "--count", "10", "--timeout", "10").lines
    assert [line["event_id"] for line in got] == list(range(1, 11))
    assert log.count("Trying again until it works") <= 3  # lost, refused, and starting up


@pytest.mark.chaos
def test_a_lost_database_is_logged_and_work_goes_on_when_it_is_back(
    project: Project, own_postgresql: Callable[..., PostgreSQL]
) -> None:
    server = own_postgresql()
    url = server.new_database()
    text = (project.folder / "tidings.toml").read_text()
    project.configure(text.replace("sqlite:///events.db", url))
    project.succeed("init", "--tables")
    project.append_numbers(1, 5)
    with project.running("run") as relay:
        reaches(project, 5)
        server.kill()
        relay.wait_for_log("Trying again until it works")
        server.restart()
        project.append_numbers(6, 10)
        reaches(project, 10)
        assert relay.terminate() == 0

    numbers = [json.loads(line)["body"]["n"] for line in lines_of(project)]
    assert numbers == list(range(1, 11))


def test_structured_logs_are_json_lines(project: Project) -> None:
    project.append_numbers(1, 1)
    with project.running("run", "--log-format", "json") as relay:
        reaches(project, 1)
        assert relay.terminate() == 0
        lines = [json.loads(line) for line in relay.err.splitlines()]

    assert all({"time", "level", "message"} <= line.keys() for line in lines)


def test_wrong_credentials_name_the_user_and_never_the_password(
    project: Project, rabbitmq: StreamBroker
) -> None:
    url = rabbitmq.url.replace("guest:guest", "nobody:geheim")
    project.configure(RABBITMQ.format(exchange="orders", url=url))

    result = project.run("spread", "orders")

    assert result.code == 1
    assert "nobody" in result.err
    assert "geheim" not in result.err
