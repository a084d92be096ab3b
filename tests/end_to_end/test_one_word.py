"""The same events through each broker, by changing the word after `producer =`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.command import Project
from tests.end_to_end import independent
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.end_to_end.independent import Reader
    from tests.servers.given import Broker, StreamBroker

COUNT = 10_000
EXCHANGE = "end-to-end"
CONFIGURATION = """
[event_store]
url = "sqlite:///events.db"

[exchanges.{exchange}]
producer = "{word}"

[producers.rabbitmq]
url = "{rabbitmq}"

[producers.activemq]
url = "{activemq}"
subscribers = ["app", "independent"]

[producers.zeromq]
bind = "tcp://127.0.0.1:{port}"
subscribers = ["app", "independent"]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Give a project with ten thousand events in it."""
    project = Project(tmp_path_factory.mktemp("end-to-end"))
    project.configure('[event_store]\nurl = "sqlite:///events.db"\n')
    project.succeed("init", "--tables")
    lines = (
        json.dumps(
            {
                "type_name": f"Type{n % 7}",
                "body": {"n": n, "text": "größer ✓"},
                "occurred_on": f"2026-01-02T03:04:05.{n:06d}Z",
                "aggregate_id": f"aggregate-{n % 10}",
                "metadata": {"trace": n},
            }
        )
        for n in range(1, COUNT + 1)
    )
    assert project.succeed("append", stdin="\n".join(lines)).out == f"{COUNT} event(s) appended.\n"
    return project


def readers(rabbitmq_url: str, activemq_url: str, port: int) -> dict[str, Callable[[], Reader]]:
    return {
        "rabbitmq": lambda: independent.RabbitMQReader(rabbitmq_url, EXCHANGE),
        "activemq": lambda: independent.ActiveMQReader(activemq_url, EXCHANGE),
        "zeromq": lambda: independent.ZeroMQReader(port, EXCHANGE),
    }


@pytest.mark.parametrize("word", ["rabbitmq", "activemq", "zeromq"])
def test_events_arrive_complete_in_order_and_once(
    project: Project, word: str, rabbitmq: StreamBroker, activemq: Broker
) -> None:
    port = free_port()
    project.configure(
        CONFIGURATION.format(
            exchange=EXCHANGE, word=word, rabbitmq=rabbitmq.url, activemq=activemq.url, port=port
        )
    )
    project.succeed("replay", EXCHANGE, "--all")
    reader = readers(rabbitmq.url, activemq.url, port)[word]()

    with (
        reader,
        project.running("listen", EXCHANGE, "--count", str(COUNT), "--timeout", "30") as listening,
    ):
        sent = project.succeed("spread", EXCHANGE)
        arrived = reader.read(COUNT)
        assert listening.process.wait(60) == 0, listening.err
        listened = listening.lines

    assert sent.out == f"{COUNT} notification(s) sent!\n"
    assert [message.event_id for message in arrived] == list(range(1, COUNT + 1))
    assert [message.body["n"] for message in arrived] == list(range(1, COUNT + 1))
    assert {message.type_name for message in arrived} == {f"Type{n}" for n in range(7)}
    assert [line["event_id"] for line in listened] == list(range(1, COUNT + 1))
    listened[41].pop("headers", None)  # the generation of the replay, if the broker needs it
    assert listened[41] == {
        "event_id": 42,
        "type_name": "Type0",
        "occurred_on": "2026-01-02T03:04:05.000042+00:00",
        "aggregate_id": "aggregate-2",
        "metadata": {"trace": 42},
        "body": {"n": 42, "text": "größer ✓"},
    }
    assert project.status(EXCHANGE)["events_behind"] == 0
