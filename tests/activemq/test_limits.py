"""A broker that bears little: what is not committed counts against its limits."""

from __future__ import annotations

import time
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from typing_extensions import override

from tests.activemq.client import Client, ids, queue_of
from tests.activemq.sending import notification, send
from tests.remembered import newest_id
from tidings.plugins import BrokerUnavailableError, ExchangeContext
from tidings.testing import eventually
from tidings_activemq import arrivals, connection, memory, pipeline
from tidings_activemq.connection import StompConnection
from tidings_activemq.memory import Pace
from tidings_activemq.open_exchange import OpenActiveMQExchange
from tidings_activemq.settings import ActiveMQSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.activemq.conftest import MakeConsumer, MakeProducer
    from tests.servers import ActiveMQ
    from tests.servers.given import Broker
    from tidings.testing.proxy import TcpProxy
    from tidings_activemq.arrivals import Arrival
    from tidings_activemq.producer import ActiveMQProducer

KILOBYTE = b"x" * 1000


def bearing(limit: str) -> dict[str, str]:
    """Return the words that give each destination a memory limit."""
    entries = "".join(
        f'<policyEntry {kind}="&gt;" memoryLimit="{limit}"/>' for kind in ("queue", "topic")
    )
    policy = f"<policyMap><policyEntries>{entries}</policyEntries></policyMap>"
    return {
        "<persistenceAdapter>": f"<destinationPolicy>{policy}</destinationPolicy>"
        "<persistenceAdapter>"
    }


def deliver(producer: ActiveMQProducer, exchange: str, newest: int) -> list[str]:
    """Send events until all are accepted, as a relay does; return what it had to say."""
    said: list[str] = []
    deadline = time.monotonic() + 60

    def delivered() -> bool:
        try:
            producer.open(exchange)
            start = newest_id(producer, exchange) or 0
            for event_id in range(start + 1, newest + 1):
                send(producer, exchange, event_id, KILOBYTE)
            producer.flush(exchange)
        except BrokerUnavailableError as error:
            said.append(str(error))
            return False
        finally:
            producer.close(exchange)
        return True

    eventually(delivered, "delivery", deadline - time.monotonic())
    return said


def test_a_quarter_of_the_memory_limit_in_a_transaction_never_stalls(
    configured_activemq: Callable[..., ActiveMQ], make_producer: MakeProducer, exchange: str
) -> None:
    url = configured_activemq(replacing=bearing("1mb")).url
    said = deliver(make_producer(url=url, batch_bytes=250_000), exchange, 3000)

    assert said == []
    with Client(url) as client:
        assert ids(client.read_fast(queue_of(exchange), 3000)) == list(range(1, 3001))


def test_less_is_tried_where_the_broker_stalls_and_nothing_is_lost_or_sent_twice(
    configured_activemq: Callable[..., ActiveMQ], make_producer: MakeProducer, exchange: str
) -> None:
    url = configured_activemq(replacing=bearing("256kb")).url
    producer = make_producer(url=url, no_progress_timeout=2, send_timeout=2, heartbeat=1)
    said = deliver(producer, exchange, 1000)

    assert "memory or store limit" in said[0]
    assert "transactions of about" in said[0]
    assert not [each for each in said if "another publisher" in each]
    with Client(url) as client:
        assert ids(client.read_fast(queue_of(exchange), 1000)) == list(range(1, 1001))


def test_a_frozen_broker_with_little_in_flight_is_not_sent_less_afterwards(
    own_activemq: Callable[..., ActiveMQ],
    make_producer: MakeProducer,
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blamed: list[bool] = []
    stall = Pace.stalled

    def note(pace: Pace, in_flight: int) -> bool:
        most = pace.bytes
        blamed.append(stall(pace, in_flight) or pace.bytes != most)
        return blamed[-1]

    monkeypatch.setattr(Pace, "stalled", note)
    broker = own_activemq()
    producer = make_producer(url=broker.url, no_progress_timeout=2, send_timeout=2, heartbeat=60)
    producer.open(exchange)
    broker.freeze()
    send(producer, exchange, 1)
    with pytest.raises(BrokerUnavailableError) as stalled:
        producer.flush(exchange)
    producer.close(exchange)
    broker.thaw()

    deliver(producer, exchange, 500)

    assert "it has accepted nothing for 2 s" in str(stalled.value)
    assert "transactions of about" not in str(stalled.value)
    assert blamed == [False]
    with Client(broker.url) as client:
        assert ids(client.read_fast(queue_of(exchange), 500)) == list(range(1, 501))


def test_a_window_is_bounded_in_bytes(
    make_producer: MakeProducer, proxy: TcpProxy, proxied: str, exchange: str
) -> None:
    body = b"x" * 10_000
    bounds = {"window": 40, "batch_size": 10, "batch_bytes": 50_000}  # 4 times 50,000 bytes
    producer = make_producer(url=proxied, no_progress_timeout=2, heartbeat=60, **bounds)
    producer.open(exchange)
    for event_id in range(1, 101):  # what is accepted makes room
        send(producer, exchange, event_id, body)
    producer.flush(exchange)
    proxy.freeze()
    taken: list[int] = []

    def send_on() -> None:
        for event_id in range(101, 201):
            send(producer, exchange, event_id, body)
            taken.append(event_id)

    with pytest.raises(BrokerUnavailableError):
        send_on()
    assert 15 <= len(taken) <= 20


class HoldingBack(StompConnection):
    """A connection that gives receipts, and if it shall hold them back, no messages."""

    def __init__(self, settings: ActiveMQSettings, exchange_name: str) -> None:
        super().__init__(settings, exchange_name)
        self.holds_back = False
        self.held: list[Arrival] = []
        self.receipts = 0

    @override
    def next(self, timeout: float) -> Arrival | None:
        arrival = super().next(timeout)
        if arrival is None or not self.holds_back:
            return arrival
        if arrival.kind == "receipt":
            self.receipts += 1
            return arrival
        self.held.append(arrival)
        return None

    def give(self) -> None:
        self.holds_back = False
        self.put_back(self.held)


def test_being_away_is_not_held_against_the_broker(
    activemq: Broker, exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(away))
    monkeypatch.setattr(pipeline, "time", clock)
    settings = ActiveMQSettings(url=SecretStr(activemq.url), batch_size=1)
    with closing(HoldingBack(settings, exchange)) as connection:
        connection.open()
        opened = OpenActiveMQExchange(settings, ExchangeContext(exchange), connection)
        connection.holds_back = True
        opened.send([notification(1), notification(2)])

        def waits_for_its_token() -> bool:
            # Of the three receipts two are for the events, and one for the first one's end.
            return opened.accepted_id() == 1 and connection.receipts == 3 and bool(connection.held)

        eventually(waits_for_its_token, "the second's end to wait for the token alone", 60)
        away.append(2 * settings.no_progress_timeout)  # as a slow read of the database may be
        connection.give()
        opened.flush()

        assert opened.accepted_id() == 2


def test_the_pace_falls_with_each_stall_and_comes_back_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pace = Pace(1_000_000)
    pace.stalled(800_000)
    pace.stalled(5_000_000)
    fallen = pace.bytes
    pace.accepted()
    at_once = pace.bytes
    monkeypatch.setattr(memory, "GROW", -1.0)
    for _ in range(5):
        pace.accepted()

    assert (fallen, at_once, pace.bytes) == (50_000, 50_000, 1_000_000)


@pytest.mark.parametrize("most", [100, 1_000_000])
def test_the_pace_never_falls_so_far_that_nothing_gets_on(most: int) -> None:
    pace = Pace(most)

    assert not pace.stalled(memory.LEAST)
    assert pace.bytes == most
    for _ in range(20):
        pace.stalled(2 * memory.LEAST)
    assert pace.bytes == min(most, memory.LEAST)


def test_what_waits_for_a_consumer_is_bounded_with_its_headers() -> None:
    waiting = arrivals.Arrivals()
    waiting.put(arrivals.Arrival("message", {"metadata": "x" * arrivals.MOST_BYTES}, b""))
    before = waiting.has_room(0.0)
    waiting.take(0.0)

    assert (before, waiting.has_room(0.0)) == (False, True)


def test_a_consumer_that_takes_nothing_holds_no_more_than_a_bound(
    make_consumer: MakeConsumer,
    client: Client,
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[int] = []

    class Watched(arrivals.Arrivals):
        @override
        def has_room(self, timeout: float) -> bool:
            found = super().has_room(timeout)
            if not found:
                looks.append(self._size)
            return found

    monkeypatch.setattr(connection, "Arrivals", Watched)
    consumer = make_consumer(heartbeat=1)
    consumer.open(exchange)
    megabyte = b"\0" * 2**20
    for number in range(40):
        headers = {"destination": f"/queue/{queue_of(exchange)}", "correlation-id": str(number)}
        client.request("SEND", headers | {"content-length": str(len(megabyte))}, megabyte)
    # More than twice the time after which a silent broker would count as dead.
    eventually(lambda: len(looks) > 10, "the consumer to stop reading", 30)
    received = [consumer.receive(10) for _ in range(40)]

    assert max(looks) < arrivals.MOST_BYTES + 2 * len(megabyte)
    assert [each and each.message_id for each in received] == [str(each) for each in range(40)]
