"""While events are in flight, new ones are looked for, and not only the broker's word awaited."""

from __future__ import annotations

import pytest

from tests.relay.clock import Clock
from tests.relay.parts import Parts, at
from tests.relay.working import running as working
from tidings import BrokerUnavailableError, NewEvent, UndeliverableEventError
from tidings.errors import UnsafeStoreError
from tidings.relay import checkpoints, position_check
from tidings.relay import run as run_module
from tidings.relay.batch import MOST_BYTES
from tidings.relay.owner import Owner
from tidings.relay.run import Run, running
from tidings.testing import eventually


def sent(parts: Parts) -> list[int]:
    """Return which events were handed to the producer."""
    return [event_id for _, _, ids in parts.told.of("sent") for event_id in ids]


def settle_one_more(parts: Parts, run: Run) -> bool:
    """Let one more event be sent; return whether all are tracked."""
    parts.append()
    run.step()
    run.settle()
    return not run.in_flight


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the clock by which a run says for how long nothing new has come."""
    clock = Clock()
    monkeypatch.setattr(checkpoints, "time", clock)
    return clock


def test_a_new_event_does_not_wait_until_the_broker_has_accepted_those_before_it(
    parts: Parts,
) -> None:
    with working(parts.route()):
        eventually(lambda: parts.told.of("idle"))
        parts.broker.freeze()
        parts.append()
        eventually(lambda: sent(parts) == [1])

        parts.append()
        eventually(lambda: sent(parts) == [1, 2])

        assert parts.ids() == []
        parts.broker.thaw()
    assert (parts.ids(), parts.broker.opened) == ([1, 2], 1)


def test_a_broker_that_has_been_silent_for_long_keeps_no_new_event_waiting(
    parts: Parts, clock: Clock
) -> None:
    with running(parts.route(), Owner()) as run:
        parts.broker.freeze()
        parts.append()
        run.step()
        clock.now += 3600

        run.settle()
        parts.append()
        run.step()

        assert sent(parts) == [1, 2]
        parts.broker.thaw()


def test_a_store_that_is_another_one_is_noticed_though_the_broker_accepts_nothing(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise UnsafeStoreError("The sequence was set back.")

    monkeypatch.setattr(position_check, "LOOK_AGAIN", 0.0)
    with running(parts.route(), Owner()) as run:
        parts.broker.freeze()
        parts.append()
        run.step()
        monkeypatch.setattr(parts.store, "watch", refuse)

        with pytest.raises(UnsafeStoreError):
            run.settle()
        parts.broker.thaw()


@pytest.mark.parametrize(("quiet", "turn"), [(0, 0.005), (0.2, 0.01), (1, 0.05), (3600, 0.1)])
def test_the_longer_nothing_new_comes_the_rarer_it_is_looked_for(
    parts: Parts, clock: Clock, quiet: float, turn: float
) -> None:
    with running(parts.route(), Owner()) as run:
        parts.broker.freeze()
        parts.append()
        run.step()
        clock.now += quiet

        run.settle()

        assert parts.producer.waits == [pytest.approx(turn)]
        parts.broker.thaw()


def test_a_broker_that_accepts_nothing_is_given_up_though_new_events_are_looked_for(
    parts: Parts,
) -> None:
    parts.producer = type(parts.producer)(parts.broker, no_progress=0.05)
    with working(parts.route()):
        eventually(lambda: parts.told.of("idle"))
        parts.broker.freeze()
        parts.append()

        eventually(lambda: parts.told.of("failed"))

        parts.broker.thaw()
        eventually(lambda: parts.position() == 1)


def test_a_broker_that_accepts_nothing_is_given_up_though_new_events_come_all_the_time(
    parts: Parts,
) -> None:
    parts.producer = type(parts.producer)(parts.broker, no_progress=0.05)
    with running(parts.route(), Owner()) as run:
        parts.broker.freeze()

        with pytest.raises(BrokerUnavailableError):
            eventually(lambda: settle_one_more(parts, run), seconds=5)  # the window isn't full


@pytest.mark.parametrize("batch_size", [1, 2])
def test_what_the_producer_holds_back_goes_out_though_all_that_follows_is_passed_over(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    monkeypatch.setattr(run_module, "ATTEND_EVERY", 0.0)
    parts.producer.before_wait = parts.broker.thaw
    parts.append(1)
    parts.append(6, "InvoiceSent")
    with running(parts.route(events=["Order*"], batch_size=batch_size), Owner()) as run:
        parts.broker.freeze()

        while run.step():
            pass

        assert (parts.ids(), parts.position()) == ([1], 7)


def test_the_producer_keeps_its_connection_though_all_is_passed_over(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "ATTEND_EVERY", 0.0)
    parts.append(4, "InvoiceSent")
    with running(parts.route(events=["Order*"], batch_size=2), Owner()) as run:
        while run.step():
            pass

    assert parts.producer.waits == [run_module.IN_PASSING] * 2


def test_large_bodies_do_not_wait_for_the_broker_between_two_reads(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "ATTEND_EVERY", 0.0)
    body = "x" * MOST_BYTES
    with parts.store.transaction() as transaction:
        parts.store.append(transaction, *(NewEvent("OrderPlaced", body) for _ in range(4)))
    with running(parts.route(), Owner()) as run:
        parts.broker.freeze()

        assert (run.step(2), run.step(2)) == (2, 2)

        assert (sent(parts), parts.producer.waits) == ([1, 2, 3, 4], [])
        parts.broker.thaw()


def test_an_exchange_whose_wait_settles_nothing_is_flushed_at_once(parts: Parts) -> None:
    parts.producer.capabilities = frozenset()
    with running(parts.route(), Owner()) as run:
        parts.append(1)
        run.step()
        parts.broker.freeze()
        parts.append(1)
        run.step()
        parts.broker.thaw()

        run.settle()

        assert (parts.position(), parts.producer.waits) == (2, [])


def test_an_event_that_is_refused_while_one_waits_is_not_sent_again(parts: Parts) -> None:
    def refuse() -> None:
        parts.producer.before_wait = lambda: None
        parts.broker.cut()
        parts.broker.thaw()
        raise UndeliverableEventError("too large", exchange_name="x", event_id=2)

    parts.append(3)
    with running(parts.route(passes_poison=True), Owner()) as run:
        parts.producer.before_send = at(2, parts.broker.freeze)
        run.step()
        parts.producer.before_wait = refuse
        run.settle()

        while run.step() or run.in_flight:
            run.settle()

    assert parts.ids() == [1, 3]
    assert [call[2] for call in parts.told.of("quarantined")] == [2]
