"""What goes into one transaction, at a broker that takes its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pydantic import SecretStr

from tests.activemq.sending import notification
from tidings.plugins import ExchangeContext
from tidings_activemq.arrivals import Arrival
from tidings_activemq.memory import Memory
from tidings_activemq.pipeline import Pipeline
from tidings_activemq.settings import ActiveMQSettings

if TYPE_CHECKING:
    from tidings_activemq.connection import StompConnection


class Broker:
    """Takes what is written, and gives its receipts one by one."""

    def __init__(self) -> None:
        self.written = b""
        self._receipts = 0
        settings = ActiveMQSettings(
            url=SecretStr("stomp://localhost"), token=False, batch_size=5, window=100
        )
        self.pipeline = Pipeline(
            cast("StompConnection", self),
            settings,
            ExchangeContext("x"),
            Memory.kept_in({}, settings.batch_bytes),
            queues=None,
            token=None,
        )

    def new_receipt(self) -> str:
        self._receipts += 1
        return str(self._receipts)

    def write(self, data: bytes) -> None:
        self.written += data

    def give(self, receipt: int) -> None:
        self.pipeline.take(Arrival("receipt", {"receipt-id": str(receipt)}, b""))

    def send(self, *event_ids: int) -> None:
        """Let each event be added, and the relay wait for a moment."""
        for event_id in event_ids:
            made = notification(event_id)
            self.pipeline.add(self.pipeline.encode(made), made)
            self.pipeline.write_current()

    def transactions(self) -> list[int]:
        """Return how many events each transaction had."""
        return [each.count(b"SEND\n") for each in self.written.split(b"BEGIN\n")[1:]]


def test_what_could_not_be_written_yet_makes_one_transaction() -> None:
    broker = Broker()

    broker.send(1, 2, 3, 4)
    assert broker.transactions() == [1]
    broker.give(1)

    assert broker.transactions() == [1, 3]


def test_a_transaction_that_waits_for_its_turn_grows_no_larger_than_any_other() -> None:
    broker = Broker()

    broker.send(*range(1, 10))
    for receipt in range(1, 7):
        broker.give(receipt)

    assert broker.transactions() == [1, 5, 3]
    assert (broker.pipeline.accepted_id, broker.pipeline.unaccepted) == (9, 0)
