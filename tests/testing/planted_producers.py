"""The suite for producers, applied to each planted fault. Run by test_producer_faults.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.testing import faulty_producers, faulty_sending
from tests.testing.planted import Finding, plant
from tests.testing.test_memory_contract import TestInMemoryProducer as Sound
from tidings.testing.samples import notification

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.builtin.memory import InMemoryBroker
    from tidings.interfaces import Notification
    from tidings.testing import MakeProducer


class Planted(Sound):
    fault: type[faulty_producers.Base | faulty_producers.Whole]
    has_undeliverable = True
    frozen_sends = 2000
    no_progress_seconds = 0.2
    grace = 2.0

    @pytest.fixture
    @override
    def make_producer(self, broker: InMemoryBroker) -> MakeProducer:
        def make(via: tuple[str, int] | None = None) -> faulty_producers.Producer:
            if issubclass(self.fault, faulty_producers.Base):
                return faulty_producers.Producer(broker, self.no_progress_seconds, self.fault)
            return self.fault(broker, self.no_progress_seconds)

        return make

    @pytest.fixture
    @override
    def secrets(self) -> Sequence[str]:
        return [faulty_producers.SECRET]

    @pytest.fixture
    @override
    def undeliverable(self) -> Notification:
        return notification(1, type_name=faulty_producers.UNDELIVERABLE)


OPENING: dict[str, Finding] = {
    "CannotReopen": Finding("can_be_opened_again", ["the channel is closed"]),
    "LeaksItsConnection": Finding(
        "close_leaves_no_connection", ["1 connection(s) are open after close()"]
    ),
    "LeaksWhatItOpenedInVain": Finding(
        "an_opening_that_fails_leaves_no_connection",
        ["1 connection(s) are open after open() failed", "it has let go of everything before"],
    ),
    "LeaksItsThread": Finding("close_leaves_no_thread", ["these threads still run: heartbeat"]),
    "ConnectsWhenMade": Finding(
        "making_it_connects_to_nothing",
        ["Making the producer opened 1 connection(s).", "Making it connects to nothing."],
    ),
    "NeedsTheBrokerWhenMade": Finding(
        "making_it_connects_to_nothing", ["Nothing listens, and making the producer raised"]
    ),
    "FoldsNames": Finding(
        "names_much_alike", ["there arrived [", "letters, digits, dots, dashes or underscores"]
    ),
    "CutsNames": Finding("names_much_alike", ["there arrived ["]),
    "SharesItsFailure": Finding(
        "a_failed_exchange_does_not_disturb", ["and still did not deliver everything"]
    ),
    "ForgetsWhatAFailedOneHad": Finding(
        "a_failed_exchange_does_not_disturb",
        ["accepted_id() is (None, 1009)", "still tells how far the broker's word goes"],
    ),
    "FailsWithWhoIsLockedOut": Finding("who_is_locked_out_of_one", ["was cut; open it again"]),
    "SaysWhatItCannotDo": Finding(
        "says_the_same_capabilities", ["remembers_durably", "one of them is wrong"]
    ),
    "HasNoSubscriber": Finding(
        "everything_sent_arrives_once",
        [
            "nobody is bound to the exchange",
            "override the fixture `subscribe`",
        ],
    ),
    "SendsNowhere": Finding(
        "everything_sent_arrives_once",
        ["1001 of 1001 event(s)", "override the fixture `subscribe`"],
    ),
    "SaysItsSecret": Finding(
        "a_broker_that_is_away",
        ["open() raised an error with the secret", "<the secret>", "They hold no secret, and"],
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
    "QuotesTheEvent": Finding(
        "a_rejected_message_is_not_accepted",
        ["the error shows what is in one", "and nothing of a body"],
    ),
    "AcceptsItsPosition": Finding(
        "nothing_is_accepted_before_the_first",
        ["nothing was sent, and accepted_id() is 5", "``None`` before the first"],
    ),
    "TakesNoLock": Finding(
        "a_second_producer_is_locked_out", ["A second producer opened an exchange that was open."]
    ),
    "ForgetsTheGeneration": Finding(
        "remembers_nothing_of_another_generation",
        ["most_recent_accepted() is Accepted(event_id=10", "of another generation"],
    ),
    "ForgetsTheStore": Finding(
        "what_another_store_sent_is_not_taken",
        ["most_recent_accepted() is Accepted(event_id=10", "or of another store"],
    ),
    "RemembersAnIdAlone": Finding(
        "the_broker_remembers_the_newest_event",
        ["fingerprint=None", "An id alone is never believed"],
    ),
    "ForgetsWhenOpened": Finding(
        "what_another_store_sent_is_not_taken", ["leaves that memory as it is"]
    ),
    "ClosesWithAnError": Finding("can_be_opened_again", ["close() raised KeyError"]),
    "DoesNothingInNoTime": Finding("an_idle_producer_notices", ["and wait() said nothing for"]),
    "NeverNotices": Finding("an_idle_producer_notices", ["and wait() said nothing for"]),
}

SENDING: dict[str, Finding] = {
    "HearsOfNothingWhileItWaits": Finding(
        "waiting_is_enough_if_it_settles",
        ["accepted_id() is None", "and hears of what is accepted"],
    ),
    "KeepsNoTimeWhileItWaits": Finding(
        "waiting_gives_up_a_silent_broker",
        ["wait() raised nothing", "Neither the end of a `wait` nor another `send`"],
    ),
    "BeginsTheTimeAnewWithEachEvent": Finding(
        "waiting_gives_up_a_silent_broker", ["one event was sent after the other"]
    ),
    "CountsIdleTimeAsSilence": Finding(
        "time_with_nothing_in_flight",
        ["when nothing had been in flight for 0.2 s", "becomes the first that is not accepted"],
    ),
    "DropsEveryHundredth": Finding(
        "everything_sent_arrives_once",
        ["10 of 1001 event(s)", "100, 200, 300, 400, 500, …", "They are lost"],
    ),
    "ForgetsTheRoutingKey": Finding(
        "arrives_with_its_routing_key",
        ["and arrived with ['', '', '', '']", "so that subscribers can choose by it"],
    ),
    "ForgetsThePartition": Finding(
        "arrives_in_its_partition",
        ["belong to partition 0; from it came []", "goes to its ``partition``"],
    ),
    "PartsBySomethingElse": Finding(
        "arrives_in_its_partition", ["belong to partition 0; from it came [1, 2, 3, 16"]
    ),
    "Reorders": Finding(
        "everything_sent_arrives_once",
        ["Event 5 arrived after event 6", "in the order of the calls of `send`"],
    ),
    "SendsTheLastOfABatchFirst": Finding(
        "a_batch_arrives_once_and_in_order",
        ["Event 2 arrived after event 120", "within a call in the order given"],
    ),
    "SendsTheFirstOfABatchOnly": Finding(
        "a_batch_arrives_once_and_in_order",
        ["247 of 250 event(s)", "cannot be read back"],
    ),
    "SwallowsErrors": Finding(
        "a_frozen_broker_ends",
        ["The connection carries nothing", "ended in None", "ends in `BrokerUnavailableError`"],
    ),
    "AcceptsTooEarly": Finding(
        "a_frozen_broker_ends", ["accepted_id() is 30", 'never "the socket took it"']
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
    "CutsTheTime": Finding(
        "times_arrive_to_the_microsecond", ["The occurred_on of event 1 was sent as"]
    ),
    "DropsHeaders": Finding("headers_arrive_unchanged", ["The headers of event 1 was sent as"]),
    "EndsBodiesAtNul": Finding("bodies_arrive_unchanged", ["The body of event 3 was sent as"]),
    "SendsTheUndeliverable": Finding(
        "an_undeliverable_event_leaves",
        ["Event 50 was never sent", "nothing from it on was"],
    ),
    "GoesOnAfterTheUndeliverable": Finding(
        "an_undeliverable_event_ends_its_batch",
        ["after flush() accepted_id() is 103", "nothing from it on was"],
    ),
    "TakesNothingBesideTheUndeliverable": Finding(
        "an_undeliverable_event_ends_its_batch",
        ["after flush() accepted_id() is None", "What came before it was taken"],
    ),
    "CountsAllExchangesTogether": Finding(
        "two_exchanges_do_not_disturb", ["accepted_id() is 1000, but the newest id sent is 2"]
    ),
    "GoesDown": Finding(
        "everything_sent_arrives_once", ["accepted_id() went from", "Never goes down"]
    ),
    "ForgetsToFlushInAHurry": Finding(
        "a_flush_with_a_short_timeout",
        ["flush(0.5) returned, and accepted_id() is None", "has accepted everything sent, or"],
    ),
    "HasNoWindow": Finding(
        "stops_at_the_window", ["2000 messages of 1 kB were taken; memory would grow without end"]
    ),
    "AcceptsWhatIsRejected": Finding(
        "a_rejected_message_is_not_accepted", ["ended in None", "is not accepted."]
    ),
}

FAULTS = OPENING | SENDING

plant(globals(), Planted, faulty_producers, OPENING)
plant(globals(), Planted, faulty_sending, SENDING)
