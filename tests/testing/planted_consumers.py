"""The suite for consumers, applied to each planted fault. Run by test_consumer_faults.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing import faulty_consumers
from tests.testing.planted import Finding, plant
from tests.testing.test_memory_contract import TestInMemoryMessageConsumer as Sound

if TYPE_CHECKING:
    from tidings.builtin.memory import InMemoryBroker
    from tidings.testing import MakeConsumer


class Planted(Sound):
    fault: type[faulty_consumers.Base]
    patience = 3.0

    @pytest.fixture
    def make_consumer(self, broker: InMemoryBroker) -> MakeConsumer:
        return lambda via=None: self.fault(broker)


FAULTS: dict[str, Finding] = {
    "AcknowledgesByItself": Finding(
        "what_was_not_acknowledged_comes_again",
        ["Of 4 messages 2 did not come", "not acknowledged before `close`"],
    ),
    "ForgetsAcknowledgements": Finding(
        "what_was_acknowledged_does_not_come_again", ["another consumer received ['1', '2'"]
    ),
    "KeepsAcknowledgements": Finding(
        "several_may_be_received_before",
        [
            "All 20 were acknowledged, then came close() and open(), and message 1 came again",
            "an acknowledgement not sent yet",
            "promises: Say that ``message`` need not come again.",
        ],
    ),
    "BeginsAtTheEnd": Finding("nothing_passes_while", ["Of 5 messages 5 did not come"]),
    "LastFirst": Finding(
        "messages_are_received_in_order", ["arrived after event", "in which the broker holds them"]
    ),
    "DoesNotWait": Finding("receive_gives_none_after", ["receive(0.3) took 0.00 s"]),
    "WaitsLonger": Finding("receive_gives_none_after", ["receive() has not returned within 3 s"]),
    "LosesTheTime": Finding("messages_arrive_as_they_were_sent", ["and arrived as None"]),
    "CannotReopen": Finding("close_may_be_called_twice", ["is open already"]),
    "ClosesWithAnError": Finding("close_may_be_called_twice", ["close() raised RuntimeError"]),
    "LeaksItsConnection": Finding(
        "close_leaves_no_connection", ["1 connection(s) are open after close()"]
    ),
    "SaysThereIsNothing": Finding(
        "a_lost_connection_is_an_error", ["Of 5 messages 5 did not come"]
    ),
}

plant(globals(), Planted, faulty_consumers, FAULTS)
