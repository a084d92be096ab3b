"""Events that real brokers refuse: larger than they take, in the middle of a pipelined batch."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from tests.activemq.conftest import ConfiguredActiveMQ
from tests.activemq.sending import send
from tests.conftest import servers
from tests.end_to_end import independent
from tests.remembered import newest_id
from tests.servers import RabbitMQ
from tidings.testing import eventually
from tidings_activemq.producer import ActiveMQProducer
from tidings_activemq.settings import ActiveMQSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Factory
    from tests.end_to_end.independent import Reader
    from tests.quarantine.conftest import Poisoned
    from tests.servers.given import Broker

SMALL, LARGE = 20_000, 1_500_000
_numbers = itertools.count()


@pytest.fixture(scope="module")
def strict_rabbitmq() -> Iterator[RabbitMQ]:
    with servers(RabbitMQ) as start:
        yield start(extra_config=f"max_message_size = {LARGE}")


@pytest.fixture(scope="module")
def strict_activemq() -> Iterator[ConfiguredActiveMQ]:
    with servers(ConfiguredActiveMQ) as start:
        end = '"/></transportConnectors>'
        yield start(replacing={end: f"?wireFormat.maxDataLength={SMALL}{end}"})


class Refusing:
    """A broker that takes no large bodies, and the exchange of this test on it."""

    def __init__(self, word: str, url: str, *settings: str) -> None:
        self.word = word
        self.url = url
        self.settings = [f'url = "{url}"', *settings]
        self.exchange = f"orders-{next(_numbers)}"
        largest = LARGE if word == "rabbitmq" else SMALL
        self.too_large = json.dumps({"n": 0, "text": "x" * 2 * largest})

    def set_up(self, project: Poisoned, on_poison: str) -> None:
        project.set_up(self.exchange, self.word, *self.settings, on_poison=on_poison)

    def reader(self) -> Reader:
        if self.word == "rabbitmq":
            return independent.RabbitMQReader(self.url, self.exchange)
        return independent.ActiveMQReader(self.url, self.exchange)


@pytest.fixture(params=["rabbitmq", "rabbitmq with a tail", "activemq", "activemq in small ones"])
def broker(request: pytest.FixtureRequest) -> Refusing:
    word, _, variant = request.param.partition(" ")
    url: str = request.getfixturevalue(f"strict_{word}").url
    settings = ['resume = "tail"'] if "tail" in variant else []
    if word == "activemq":
        settings = ['subscribers = ["app", "independent"]']
    if "small" in variant:
        settings.append("batch_size = 3")
    return Refusing(word, url, *settings)


def ids(reader: Reader, count: int) -> list[int]:
    return [message.event_id for message in reader.read(count)]


def test_what_the_broker_refuses_goes_into_quarantine_and_is_sent_when_mended(
    project: Poisoned, broker: Refusing
) -> None:
    project.poison(6, broker.too_large)
    project.poison(9, broker.too_large)
    project.append_numbers(11, 40)
    broker.set_up(project, "quarantine")
    others = [n for n in range(1, 41) if n not in {6, 9}]
    with broker.reader() as reader:
        assert project.succeed("spread").out == "38 notification(s) sent!\n"
        assert project.listed() == [(broker.exchange, 6), (broker.exchange, 9)]
        assert project.status(broker.exchange)["last_published_id"] == 40
        project.mend(6)
        assert project.run("quarantine", "retry").code == 1
        project.append_numbers(41, 41)
        assert project.succeed("spread").out == "1 notification(s) sent!\n"
        assert ids(reader, 40) == [*others, 6, 41]
    assert project.listed() == [(broker.exchange, 9)]


def test_what_the_broker_refuses_stops_the_exchange_until_it_is_mended(
    project: Poisoned, broker: Refusing
) -> None:
    project.poison(6, broker.too_large)
    broker.set_up(project, "stop")
    with broker.reader() as reader, project.running("run") as relay:
        relay.wait_for_log("event 6" if broker.word == "rabbitmq" else "Event 6")
        shown = project.status(broker.exchange)
        assert shown["last_published_id"] == 5
        assert shown["stopped_by"]["event_id"] == 6
        project.mend(6)
        eventually(
            lambda: project.status(broker.exchange)["last_published_id"] == 10, "the rest", 60
        )
        assert project.status(broker.exchange)["stopped_by"] is None
        assert relay.terminate() == 0
        assert ids(reader, 10) == list(range(1, 11))


@pytest.mark.parametrize("on_poison", ["stop", "quarantine"])
def test_where_the_limit_is_low_events_before_the_poison_may_come_twice_but_none_is_lost(
    project: Poisoned, own_rabbitmq: Factory[RabbitMQ], on_poison: str
) -> None:
    low = own_rabbitmq(extra_config=f"max_message_size = {SMALL}")
    broker = Refusing("rabbitmq", low.url)
    broker.set_up(project, on_poison)
    project.poison(6, json.dumps({"text": "x" * 2 * SMALL}))

    spread = project.run("spread")

    stopped = on_poison == "stop"
    assert spread.code == (1 if stopped else 0)
    assert project.status(broker.exchange)["last_published_id"] == (5 if stopped else 10)
    expected = [1, 2, 3, 4, 5] + ([] if stopped else [7, 8, 9, 10])
    listen = ["listen", broker.exchange, "--count"]
    lines = project.run(*listen, str(len(expected)), "--timeout", "60").lines
    while not {line["event_id"] for line in lines} >= set(expected):
        lines += project.succeed(*listen, "1", "--timeout", "60").lines
    lines += project.run("listen", broker.exchange, "--timeout", "1").lines
    listened = [line["event_id"] for line in lines]
    assert list(dict.fromkeys(listened)) == expected
    assert len(listened) <= len(expected) + 5


def test_activemqs_token_stays_at_the_newest_event(activemq: Broker) -> None:
    settings = ActiveMQSettings.model_validate({"url": activemq.url, "subscribers": ["app"]})
    producer, exchange = ActiveMQProducer(settings), f"orders-{next(_numbers)}-late"
    newest = []
    for event_ids in [[5, 8], [3], [4], []]:
        producer.open(exchange)
        newest.append(newest_id(producer, exchange))
        for event_id in event_ids:
            send(producer, exchange, event_id)
        producer.flush(exchange)
        producer.close(exchange)
    assert newest == [None, 8, 8, 8]
