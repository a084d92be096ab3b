"""A frame that is larger than the broker takes: it may go on with what comes behind that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.activemq.client import Client, ids, queue_of
from tests.activemq.sending import send
from tests.remembered import newest_id
from tidings.plugins import UndeliverableEventError
from tidings.testing.samples import send_all
from tidings_activemq.connection import StompConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.activemq.conftest import MakeProducer
    from tests.servers import ActiveMQ
    from tidings_activemq.arrivals import Arrival

LARGEST = 20_000
END = '"/></transportConnectors>'


@pytest.mark.parametrize("token", [True, False])
def test_no_transaction_is_ended_before_the_broker_has_taken_all_its_events(
    make_producer: MakeProducer, exchange: str, monkeypatch: pytest.MonkeyPatch, token: bool
) -> None:
    producer = make_producer(batch_size=2, token=token)
    producer.open(exchange)
    seen: list[bytes] = []
    write, take = StompConnection.write, StompConnection.next

    def written(connection: StompConnection, data: bytes) -> None:
        seen.extend(word for word in (b"SEND\nreceipt:", b"COMMIT") if word in data)
        write(connection, data)

    def taken(connection: StompConnection, timeout: float) -> Arrival | None:
        arrival = take(connection, timeout)
        if arrival is not None and arrival.kind == "receipt":
            seen.append(b"receipt")
        return arrival

    monkeypatch.setattr(StompConnection, "write", written)
    monkeypatch.setattr(StompConnection, "next", taken)
    send_all(producer, exchange, range(1, 5))
    producer.flush(exchange)

    asked = [place for place, word in enumerate(seen) if word == b"SEND\nreceipt:"]
    ended = [place for place, word in enumerate(seen) if word == b"COMMIT"]
    assert len(asked) == len(ended) == 2
    for begin, end in zip(asked, ended, strict=True):
        assert b"receipt" in seen[begin:end]


def test_nothing_of_a_transaction_in_which_one_is_too_large_is_committed(
    configured_activemq: Callable[..., ActiveMQ], make_producer: MakeProducer, exchange: str
) -> None:
    url = configured_activemq(replacing={END: f"?wireFormat.maxDataLength={LARGEST}{END}"}).url
    producer = make_producer(url=url, subscribers=["app"])
    large = b"x" * 2 * LARGEST
    producer.open(exchange)

    def send_nine() -> None:
        for event_id in range(1, 10):
            send(producer, exchange, event_id, large if event_id == 3 else b"{}")
        producer.flush(exchange)

    with pytest.raises(UndeliverableEventError):
        send_nine()
    producer.close(exchange)

    producer.open(exchange)
    newest = newest_id(producer, exchange) or 0
    assert newest < 3
    send_all(producer, exchange, range(newest + 1, 3))
    with pytest.raises(UndeliverableEventError) as refused:
        send(producer, exchange, 3, large)
    assert refused.value.event_id == 3
    assert producer.accepted_id(exchange) == 2
    producer.close(exchange)
    with Client(url) as client:
        assert ids(client.read_fast(queue_of(exchange), 2)) == [1, 2]
