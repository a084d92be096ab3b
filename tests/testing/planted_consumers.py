"""The suite for consumers, applied to each planted fault. Run by test_consumer_faults.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.testing import faulty_consumers
from tests.testing.planted import Finding, plant
from tests.testing.test_memory_contract import TestInMemoryConsumer as Sound

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.builtin.memory import InMemoryBroker
    from tidings.interfaces import MessageConsumer
    from tidings.testing import MakeConsumer


class Planted(Sound):
    fault: type[faulty_consumers.Base]
    patience = 3.0
    has_login = True

    @pytest.fixture
    @override
    def make_consumer(self, broker: InMemoryBroker) -> MakeConsumer:
        return lambda via=None: self.fault(broker)

    @pytest.fixture
    @override
    def make_other_consumer(self, broker: InMemoryBroker) -> MakeConsumer:
        return lambda via=None: self.fault(broker, "audit")

    @pytest.fixture
    @override
    def make_refused_consumer(self, broker: InMemoryBroker) -> Callable[[], MessageConsumer]:
        def make() -> MessageConsumer:
            consumer = self.fault(broker)
            consumer.is_refused = True
            return consumer

        return make


FAULTS: dict[str, Finding] = {
    "AcknowledgesByItself": Finding(
        "what_was_not_acknowledged_comes_again",
        ["Of 4 messages 2 did not come", "not acknowledged before `close`"],
    ),
    "TakesKeysForBeginnings": Finding(
        "only_the_selected_routing_keys",
        ["'shop.paid', 'shop.paid.late']", "these routing keys, and no others"],
    ),
    "TakesEveryPartition": Finding(
        "only_the_selected_partitions",
        ["The partitions [1, 3] hold 20 messages", "read these partitions of an exchange"],
    ),
    "TakesTheLastPartitionForNone": Finding(
        "only_the_selected_partitions", ["Of 20 messages 10 did not come"]
    ),
    "DoesNotSayThePartition": Finding(
        "only_the_selected_partitions", ["from it came []", "Messages of one partition come in"]
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
    "CountsFromEachOpening": Finding(
        "a_message_of_an_earlier_opening",
        ["acknowledge() took the old message 2", "belongs to the opening that it came in"],
    ),
    "TakesWhileItWaits": Finding(
        "waiting_takes_no_message", ["Of 1 messages 1 did not come within 3 s"]
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
    "OpensTwice": Finding(
        "misuse_is_refused", ["is open, and open() was called: it returned", "**Misuse.**"]
    ),
    "DoesNotSayWhatIsOpen": Finding(
        "misuse_is_refused", ["RuntimeError('The consumer is open already.')"]
    ),
    "ReceivesWhileClosed": Finding(
        "misuse_is_refused", ["Nothing is open, and receive() was called: it returned"]
    ),
    "LeaksItsConnection": Finding(
        "close_leaves_no_connection", ["1 connection(s) are open after close()"]
    ),
    "ConnectsWhenMade": Finding(
        "making_it_connects_to_nothing", ["Making the consumer opened 1 connection(s)."]
    ),
    "GivesBackOnlyWhenClosed": Finding(
        "what_a_crashed_consumer_had", ["Of 15 messages 5 did not come", "or before a crash"]
    ),
    "HangsWithASilentBroker": Finding(
        "a_frozen_broker_hangs_no_call", ["receive() has not returned", "No call blocks for ever"]
    ),
    "FailsOtherwiseWithASilentBroker": Finding(
        "a_frozen_broker_hangs_no_call",
        ["open() raised ExchangeLockedError", "looks like an empty"],
    ),
    "SharesItsQueue": Finding(
        "two_subscribers_have_queues", ["Of 10 messages 10 did not come within 3 s"]
    ),
    "FoldsNames": Finding("names_much_alike", ["did not come within 3 s"]),
    "CutsNames": Finding("names_much_alike", ["did not come within 3 s"]),
    "GivesBackTheFirstHundred": Finding(
        "whatever_was_received_and_not_acknowledged",
        ["Of 250 messages 150 did not come within 3 s", "comes again"],
    ),
    "GivesBackTheFirstHundredTwice": Finding(
        "whatever_was_received_and_not_acknowledged",
        ["and not acknowledged; after close() and open() there came 350, of which 250 differ"],
    ),
    "TakesQuietForBroken": Finding(
        "receive_keeps_to_its_timeout", ["Nothing was published, and receive(3) raised"]
    ),
    "LetsTheLibrarysErrorThrough": Finding(
        "a_broker_that_goes_away",
        ["and receive() raised ConnectionResetError", "are those below `DeliveryError`."],
    ),
    "LosesTheContentType": Finding(
        "messages_arrive_as_they_were_sent", ["The content_type of event 400 was sent as"]
    ),
    "TakesARefusalForAbsence": Finding(
        "a_refused_login_says_so", ["The broker refuses this login", "ended in BrokerUnavail"]
    ),
    "SaysThereIsNothing": Finding(
        "a_lost_connection_is_an_error", ["Of 5 messages 5 did not come"]
    ),
}

plant(globals(), Planted, faulty_consumers, FAULTS)
