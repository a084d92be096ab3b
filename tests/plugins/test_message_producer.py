"""What our base of every producer does: the open exchanges, their memory, errors of misuse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tidings.errors import BrokerUnavailableError
from tidings.interfaces import (
    Accepted,
    MessageProducer,
    Notification,
    NotificationMessage,
    OpenExchange,
    Position,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces import ExchangeContext

MESSAGE = NotificationMessage(b"{}", "application/json", {})
EVENT = Notification(MESSAGE, "OrderPlaced", 7, datetime(2026, 1, 2, tzinfo=UTC))


class Noting(OpenExchange):
    """Notes what is asked of it."""

    def __init__(self, context: ExchangeContext) -> None:
        self.context = context
        self.calls: list[object] = []

    @override
    def send(self, notifications: Sequence[Notification]) -> None:
        self.calls.append(list(notifications))

    @override
    def flush(self, timeout: float | None = None) -> None:
        self.calls.append(timeout)

    @override
    def accepted_id(self) -> int | None:
        return EVENT.event_id

    @override
    def most_recent_accepted(self) -> Accepted | None:
        return Accepted(EVENT.event_id)

    @override
    def wait(self, seconds: float) -> None:
        self.calls.append(seconds)

    @override
    def close(self) -> None:
        self.calls.append("close")


class Producer(MessageProducer):
    """As an author may write it: its ``__init__`` calls no other."""

    def __init__(self) -> None:
        self.away = False
        self.opened: list[Noting] = []

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        if self.away:
            raise BrokerUnavailableError("away", exchange_name=context.exchange_name)
        self.opened.append(Noting(context))
        return self.opened[-1]


CALLS: dict[str, Callable[[MessageProducer], object]] = {
    "send": lambda producer: producer.send("orders", *EVENT),
    "flush": lambda producer: producer.flush("orders"),
    "accepted_id": lambda producer: producer.accepted_id("orders"),
    "most_recent_accepted": lambda producer: producer.most_recent_accepted("orders"),
    "wait": lambda producer: producer.wait("orders", 1),
}


@pytest.fixture
def producer() -> Producer:
    return Producer()


def test_each_call_goes_to_the_open_exchange_of_that_name(producer: Producer) -> None:
    producer.open("bills")
    exchange = producer.open("orders")

    producer.send("orders", *EVENT)
    producer.flush("orders", 0.5)
    producer.wait("orders", 0.25)
    found = producer.accepted_id("orders"), producer.most_recent_accepted("orders")
    producer.close("orders")

    bills, orders = producer.opened
    assert exchange is orders
    assert orders.calls == [[EVENT], 0.5, 0.25, "close"]
    assert found == (7, Accepted(7))
    assert bills.calls == []


def test_an_opening_is_given_the_position_and_what_to_call(producer: Producer) -> None:
    position, on_accepted = Position(7, 1, "store"), lambda: None

    producer.open("orders", position, on_accepted)

    context = producer.opened[0].context
    assert context.exchange_name == "orders"
    assert context.position is position
    assert context.on_accepted is on_accepted


def test_each_opening_of_an_exchange_has_the_same_memory(producer: Producer) -> None:
    for name in ("orders", "bills"):
        producer.open(name)
        producer.close(name)
    producer.opened[0].context.memory["tail"] = 7
    producer.away = True
    with pytest.raises(BrokerUnavailableError):
        producer.open("orders")
    producer.away = False

    producer.open("orders")

    first, bills, again = (each.context.memory for each in producer.opened)
    assert again is first
    assert again == {"tail": 7}
    assert bills == {}


def test_two_producers_share_no_memory_and_no_exchange(producer: Producer) -> None:
    producer.open("orders")
    other = Producer()
    other.open("orders")

    assert other.opened[0].context.memory is not producer.opened[0].context.memory
    other.close("orders")
    assert producer.accepted_id("orders") == 7


def test_opening_twice_is_an_error_and_harms_nothing(producer: Producer) -> None:
    producer.open("orders")

    with pytest.raises(RuntimeError, match="'orders' is open already; close it first"):
        producer.open("orders")

    producer.send("orders", *EVENT)
    assert [each.calls for each in producer.opened] == [[[EVENT]]]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_an_exchange_that_is_not_open_is_an_error(producer: Producer, call: str) -> None:
    not_open = pytest.raises(RuntimeError, match=r"'orders' is not open; call open\(\) first")
    producer.open("bills")
    with not_open:
        CALLS[call](producer)
    producer.open("orders")
    producer.close("orders")
    with not_open:
        CALLS[call](producer)


def test_what_could_not_be_opened_is_not_open(producer: Producer) -> None:
    producer.away = True
    with pytest.raises(BrokerUnavailableError):
        producer.open("orders")

    with pytest.raises(RuntimeError, match="'orders' is not open"):
        producer.flush("orders")
    producer.close("orders")
    producer.away = False
    producer.open("orders")
    assert len(producer.opened) == 1


def test_close_may_be_called_twice_and_before_open(producer: Producer) -> None:
    producer.close("orders")
    producer.open("orders")
    producer.close("orders")
    producer.close("orders")
    producer.open("orders")

    assert [each.calls for each in producer.opened] == [["close"], []]
