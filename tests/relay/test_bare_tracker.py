"""A tracker that can do no more than every tracker is asked for no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.parts import Parts, Producer, X, at
from tests.relay.working import running
from tidings import InMemoryTracker, UndeliverableEventError
from tidings.errors import BrokerUnavailableError
from tidings.plugins import Capability, Journal, Pauses, PublishedMessageTracker, Quarantine
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.plugins import Lease

pytestmark = pytest.mark.usefixtures("impatient")


class BareTracker(InMemoryTracker):
    """Writes what has to be written, and nothing else."""

    capabilities = frozenset()
    note_stop = PublishedMessageTracker.note_stop
    note_idle = PublishedMessageTracker.note_idle
    forget_idle = PublishedMessageTracker.forget_idle
    migrate = PublishedMessageTracker.migrate
    quarantine = Quarantine.quarantine
    quarantined_events = Quarantine.quarantined_events
    ask_to_retry = Quarantine.ask_to_retry
    note_retry = Quarantine.note_retry
    drop_quarantined = Quarantine.drop_quarantined
    write_journal = Journal.write_journal
    journal = Journal.journal
    pause = Pauses.pause
    resume = Pauses.resume
    paused = Pauses.paused


@pytest.fixture
def bare(parts: Parts) -> Parts:
    parts.tracker = BareTracker()
    parts.append(3)
    return parts


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_poison_stops_its_exchange_with_its_own_error(bare: Parts) -> None:
    poison = UndeliverableEventError("Event 2 is too large.", exchange_name=X, event_id=2)
    bare.producer.before_send = at(2, failing(poison))

    with pytest.raises(UndeliverableEventError) as caught:
        bare.service().publish_notifications(X)

    assert caught.value is poison
    assert bare.position() == 1


def test_a_worker_fails_stands_by_and_works_again(bare: Parts) -> None:
    bare.producer.before_send = at(
        2, failing(BrokerUnavailableError("It is away.", exchange_name=X))
    )
    able = frozenset({Capability.OUT_OF_ORDER})  # so that it would look for what is to be retried

    with running(bare.route(capabilities=able)):
        eventually(lambda: bare.told.of("failed"))
        with running(bare.route(producer=Producer(bare.broker))):
            eventually(lambda: bare.position() == 3)
            eventually(lambda: bare.told.of("standing_by"))

    assert {type(call[2]) for call in bare.told.of("failed")} == {BrokerUnavailableError}


def test_an_exchange_that_is_to_pass_poison_is_refused(bare: Parts) -> None:
    with pytest.raises(ValueError, match=r"^Exchange 'x' is to pass .* declare Capability\.QUAR"):
        bare.route(passes_poison=True)


def test_of_leases_renewed_one_by_one_a_failure_of_one_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracker = BareTracker()
    one, fails, lost, other = (tracker.acquire_lease(x, "a", 15) for x in ("1", "2", "3", "4"))
    tracker.replay("3", 0)
    renew = tracker.renew_lease

    def renew_all_but_one(lease: Lease) -> None:
        if lease is fails:
            raise RuntimeError("a bug")
        renew(lease)

    monkeypatch.setattr(tracker, "renew_lease", renew_all_but_one)

    assert tracker.renew_leases([one, fails, lost, other]) == {one: True, lost: False, other: True}
    with pytest.raises(RuntimeError, match="a bug"):
        tracker.renew_leases([fails])
