"""The way from the topic to the queues: it is there when an exchange opens."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.activemq.client import Client, ids, queue_of
from tests.activemq.sending import send
from tidings.plugins import BrokerRefusedError
from tidings.testing import eventually
from tidings.testing.samples import send_all
from tidings_activemq import subscriber_queues, token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.activemq.conftest import MakeConsumer, MakeProducer
    from tests.servers import ActiveMQ
    from tidings_activemq.producer import ActiveMQProducer

BROKER = 'schedulerSupport="false"'
STORE = "<persistenceAdapter>"
SLOW = 4.0
"""Seconds without an acknowledgement after which a consumer is aborted, in one test.

Longer than a busy machine takes for a few frames.
"""
OWN_PATTERN = {
    "topic_name": "topics.{exchange}",
    "queue_name": "readers.{subscriber}.topics.{exchange}",
}


def policy(attributes: str, inside: str = "") -> str:
    """Return the configuration of a policy for all queues, to stand before the store's."""
    entry = f'<policyEntry queue="&gt;" {attributes}>{inside}</policyEntry>'
    entries = f"<policyMap><policyEntries>{entry}</policyEntries></policyMap>"
    return f"<destinationPolicy>{entries}</destinationPolicy>{STORE}"


def virtual_topic(attributes: str) -> str:
    """Return the configuration of virtual topics other than ActiveMQ's own."""
    topics = f"<virtualDestinations><virtualTopic {attributes}/></virtualDestinations>"
    interceptor = f"<virtualDestinationInterceptor>{topics}</virtualDestinationInterceptor>"
    return f"<destinationInterceptors>{interceptor}</destinationInterceptors>{STORE}"


def test_the_standing_subscription_takes_nothing_and_stands_in_nobodys_way(
    producer: ActiveMQProducer,
    client: Client,
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subscriber_queues, "RENEW", 0.0)
    producer.open(exchange)
    for event_id in range(1, 31):
        send(producer, exchange, event_id)
        producer.flush(exchange)
    producer.wait(exchange, 0.1)
    subscription = client.subscribe(f"/queue/{queue_of(exchange)}")
    messages = [client.frame(5) for _ in range(30)]
    client.send("UNSUBSCRIBE", {"id": subscription})

    numbers = [each and int(each.headers["event-id"]) for each in messages]
    assert numbers == list(range(1, 31))
    assert not [each for each in messages if each and "redelivered" in each.headers]


def test_an_exclusive_reader_still_gets_everything(
    configured_activemq: Callable[..., ActiveMQ], make_producer: MakeProducer, exchange: str
) -> None:
    policed = policy('allConsumersExclusiveByDefault="true"')
    url = configured_activemq(replacing={STORE: policed}).url
    producer = make_producer(url=url)
    producer.open(exchange)
    send_all(producer, exchange, [1, 2, 3])
    producer.flush(exchange)

    with Client(url) as client:
        assert ids(client.read(queue_of(exchange), 3)) == [1, 2, 3]


@pytest.mark.parametrize(
    "replacing",
    [
        {BROKER: f'{BROKER} useVirtualTopics="false"'},
        {STORE: virtual_topic('name="topics.&gt;" prefix="readers.*."')},
        {STORE: virtual_topic('name="VirtualTopic.&gt;" selectorAware="true"')},
    ],
    ids=["off", "another pattern", "only where a reader is"],
)
def test_a_broker_without_the_way_is_refused_before_anything_is_published(
    configured_activemq: Callable[..., ActiveMQ],
    make_producer: MakeProducer,
    exchange: str,
    replacing: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subscriber_queues, "PROBE_SECONDS", 1.0)
    url = configured_activemq(replacing=replacing).url
    with pytest.raises(BrokerRefusedError, match="does not get to") as raised:
        make_producer(url=url).open(exchange)

    assert f"VirtualTopic.{exchange}._probe" in str(raised.value)
    assert "topic_name" in str(raised.value)


def test_a_clock_that_is_days_behind_the_brokers_hides_no_way(
    make_producer: MakeProducer, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber_queues, "PROBE_SECONDS", 1.0)
    producer = make_producer()
    two_days_ago = time.time() - 2 * 24 * 3600
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: two_days_ago)
        producer.open(exchange)

    send_all(producer, exchange, [1])
    producer.flush(exchange)
    assert producer.accepted_id(exchange) == 1


def test_the_brokers_own_pattern_can_be_set(
    configured_activemq: Callable[..., ActiveMQ],
    make_producer: MakeProducer,
    make_consumer: MakeConsumer,
    exchange: str,
) -> None:
    url = configured_activemq(
        replacing={STORE: virtual_topic('name="topics.&gt;" prefix="readers.*."')}
    ).url
    producer = make_producer(url=url, **OWN_PATTERN)
    consumer = make_consumer(url=url, **OWN_PATTERN)
    producer.open(exchange)
    send_all(producer, exchange, [1, 2])
    producer.flush(exchange)
    consumer.open(exchange)
    received = [consumer.receive(30) for _ in range(2)]

    assert [each and each.message_id for each in received] == ["1", "2"]
    with Client(url) as client:
        assert ids(client.browse(f"readers.app.topics.{exchange}")) == [1, 2]


def test_a_probe_leaves_nothing_and_is_not_mistaken_for_anothers(
    make_producer: MakeProducer, client: Client, exchange: str
) -> None:
    first, second = make_producer(token=False), make_producer(token=False)
    client.request("SEND", {"destination": f"/topic/VirtualTopic.{exchange}._probe", "probe": "x"})
    first.open(exchange)
    second.open(exchange)

    assert client.browse(queue_of(f"{exchange}._probe", "_probe")) == []
    assert client.browse(queue_of(exchange)) == []


def test_who_holds_the_token_idly_is_not_a_slow_consumer(
    configured_activemq: Callable[..., ActiveMQ],
    make_producer: MakeProducer,
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy = (
        f'<abortSlowAckConsumerStrategy maxTimeSinceLastAck="{SLOW * 1000:.0f}"'
        ' maxSlowDuration="200" checkPeriod="100" abortConnection="true"/>'
    )
    inside = f"<slowConsumerStrategy>{strategy}</slowConsumerStrategy>"
    broker = configured_activemq(replacing={STORE: policy("", inside)})
    assert token.REFRESH * 2 < 30, "ActiveMQ's own maxTimeSinceLastAck"
    monkeypatch.setattr(token, "REFRESH", 0.5)
    producer = make_producer(url=broker.url)
    producer.open(exchange)
    with Client(broker.url) as client:
        send(producer, exchange, 1)
        eventually(lambda: _waits(producer, exchange) == 1, "event 1 to be accepted")
        client.subscribe(f"/queue/{queue_of(exchange)}")
        assert client.frame(5), "a message that another holds and does not acknowledge"

        def another_is_aborted() -> bool:
            producer.wait(exchange, 0.1)
            return "aborting connection" in broker.output.read_text()

        eventually(another_is_aborted, "the end of a consumer that is slow", 60)
    end = time.monotonic() + 2 * SLOW
    while time.monotonic() < end:
        producer.wait(exchange, 0.1)
    send(producer, exchange, 2)

    eventually(lambda: _waits(producer, exchange) == 2, "event 2 to be accepted")


def _waits(producer: ActiveMQProducer, exchange: str) -> int | None:
    producer.wait(exchange, 0.1)
    return producer.accepted_id(exchange)


@contextmanager
def artemis() -> Iterator[str]:
    """Give the URL of a server that logs in as Artemis does, and no more."""
    name = "ActiveMQ-Artemis/2.31.2 ActiveMQ Artemis Messaging Engine"
    headers = f"version:1.2\nsession:1\nserver:{name}\nheart-beat:0,0\n\n\0"

    def serve(listener: socket.socket) -> None:
        for _ in range(2):
            connected, _ = listener.accept()
            with connected:
                connected.recv(65536)
                connected.sendall(f"CONNECTED\n{headers}".encode())
                connected.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"stomp://u:p@127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


def test_artemis_is_refused_by_name(
    make_producer: MakeProducer, make_consumer: MakeConsumer, exchange: str
) -> None:
    with artemis() as url:
        for each in (make_producer(url=url), make_consumer(url=url)):
            with pytest.raises(BrokerRefusedError, match=r"Artemis.*ActiveMQ Classic"):
                each.open(exchange)
