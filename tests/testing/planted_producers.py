"""The suite for producers, applied to each planted fault. Run by test_producer_faults.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing import faulty_producers
from tests.testing.planted import Finding, plant
from tests.testing.test_memory_contract import TestInMemoryMessageProducer as Sound
from tidings.testing._samples import notification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.builtin.memory import InMemoryBroker
    from tidings.interfaces import Notification
    from tidings.testing import MakeProducer


class Planted(Sound):
    fault: type[faulty_producers.Base]
    has_undeliverable = True
    frozen_sends = 2000
    no_progress_seconds = 0.2
    grace = 2.0

    @pytest.fixture
    def make_producer(self, broker: InMemoryBroker) -> MakeProducer:
        def make(via: tuple[str, int] | None = None) -> faulty_producers.Base:
            producer = self.fault(broker)
            producer._no_progress = self.no_progress_seconds
            return producer

        return make

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        return [faulty_producers.SECRET]

    @pytest.fixture
    def undeliverable(self) -> Notification:
        return notification(1, type_name=faulty_producers.UNDELIVERABLE)


FAULTS: dict[str, Finding] = {
    "DropsEveryHundredth": Finding(
        "everything_sent_arrives_once",
        ["10 of 1001 event(s)", "100, 200, 300, 400, 500, …", "They are lost"],
    ),
    "Reorders": Finding(
        "everything_sent_arrives_once",
        ["Event 5 arrived after event 6", "in the order of the calls of `send`"],
    ),
    "SwallowsErrors": Finding(
        "a_frozen_broker_ends",
        ["The connection carries nothing", "ended in None", "ends in `BrokerUnavailableError`"],
    ),
    "AcceptsTooEarly": Finding(
        "a_frozen_broker_ends", ["accepted_id() is 30", 'never "the socket took it"']
    ),
    "CannotReopen": Finding("can_be_opened_again", ["the channel is closed"]),
    "LeaksItsConnection": Finding(
        "close_leaves_no_connection", ["1 connection(s) are open after close()"]
    ),
    "LeaksItsThread": Finding("close_leaves_no_thread", ["these threads still run: heartbeat"]),
    "ConnectsWhenMade": Finding(
        "making_it_connects_to_nothing",
        ["Nothing listens, and making the producer raised", "Making it connects to nothing."],
    ),
    "SendsAgainByItself": Finding(
        "a_frozen_broker_ends",
        ["arrived more than once", "nothing is sent again by the producer itself"],
    ),
    "WaitsForEver": Finding(
        "a_frozen_broker_ends", ["flush() has not returned within", "No call blocks for ever"]
    ),
    "IgnoresTheTimeout": Finding(
        "flush_keeps_to_its_timeout",
        ["send() and flush(0.2) took 10", "Raises `BrokerUnavailableError` when it has passed."],
    ),
    "HasNoSubscriber": Finding(
        "everything_sent_arrives_once",
        [
            "nobody is bound to the exchange",
            "override the fixture `new_exchange`, and subscribe there",
        ],
    ),
    "SendsNowhere": Finding(
        "everything_sent_arrives_once",
        ["1001 of 1001 event(s)", "override the fixture `new_exchange`, and subscribe there"],
    ),
    "SaysItsSecret": Finding(
        "a_broker_that_is_away",
        ["open() raised an error with the secret", "<the secret>", "They hold no secret."],
    ),
    "LogsItsSecret": Finding(
        "the_log_shows_no_secret", ["Logged or shown", "guest:<the secret>@", "hold no secret"]
    ),
    "KeepsToOneThread": Finding(
        "one_thread_after_another", ["this object belongs to another thread"]
    ),
    "DoesNotNameTheExchange": Finding(
        "a_broker_that_is_away",
        ["without the exchange's name", "a sentence that names the exchange"],
    ),
    "CutsTheTime": Finding(
        "times_arrive_to_the_microsecond", ["The occurred_on of event 1 was sent as"]
    ),
    "DropsHeaders": Finding("headers_arrive_unchanged", ["The headers of event 1 was sent as"]),
    "EndsBodiesAtNul": Finding("bodies_arrive_unchanged", ["The body of event 3 was sent as"]),
    "SendsTheUndeliverable": Finding(
        "an_undeliverable_event_leaves",
        ["Event 50 was never sent", "with nothing of this event sent"],
    ),
    "TakesNoLock": Finding(
        "a_second_producer_is_locked_out", ["A second producer opened an exchange that was open."]
    ),
    "ForgetsTheGeneration": Finding(
        "remembers_nothing_of_another_generation",
        ["most_recent_accepted_id() is 10", "of another generation"],
    ),
    "CountsAllExchangesTogether": Finding(
        "two_exchanges_do_not_disturb", ["accepted_id() is 1000, but the newest id sent is 2"]
    ),
    "ClosesWithAnError": Finding("close_may_be_called_twice", ["close() raised KeyError"]),
    "OpensTwice": Finding(
        "opening_twice_is_an_error", ["open() of an open exchange raised nothing"]
    ),
    "GoesDown": Finding(
        "everything_sent_arrives_once", ["accepted_id() went from", "Never goes down"]
    ),
    "HasNoWindow": Finding(
        "stops_at_the_window", ["2000 messages of 1 kB were taken; memory would grow without end"]
    ),
    "NeverNotices": Finding("an_idle_producer_notices", ["and wait() said nothing for"]),
    "AcceptsWhatIsRejected": Finding(
        "a_rejected_message_is_not_accepted", ["ended in None", "is not accepted."]
    ),
}


plant(globals(), Planted, faulty_producers, FAULTS)
