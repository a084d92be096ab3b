"""Events that can never be sent, in the middle of a pipelined batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quarantine.poisoned import AT_SEND, LATE, WAYS, PoisonedExchange, PoisonedProducer
from tests.relay.parts import X
from tidings import (
    InMemoryEventStore,
    InMemoryProducer,
    InMemoryTracker,
    NewEvent,
    NotificationService,
    Route,
    UndeliverableEventError,
)
from tidings.builtin.json_serializer import JsonSerializer
from tidings.errors import BrokerUnavailableError, NotAcceptedError
from tidings.relay.owner import Owner
from tidings.relay.retry import retry
from tidings.relay.run import running

EVENTS = 12


class World:
    """Twelve events, some of them poison, and what has become of them."""

    def __init__(self, producer: PoisonedProducer, *, passes: bool, batch_size: int = 5) -> None:
        self.store, self.tracker = InMemoryEventStore(), InMemoryTracker()
        with self.store.transaction() as transaction:
            for n in range(EVENTS):
                self.store.append(transaction, NewEvent("Numbered", {"n": n}))
        self.producer = producer
        self.route = Route(
            X,
            self.store,
            self.tracker,
            producer,
            JsonSerializer(),
            batch_size=batch_size,
            passes_poison=passes,
        )
        self.service = NotificationService(self.route)

    @property
    def arrived(self) -> list[int]:
        return [int(message.message_id) for message in self.producer.broker.messages(X)]

    @property
    def quarantined(self) -> list[int]:
        return [event.event_id for event in self.tracker.quarantined_events(X)]

    @property
    def position(self) -> int | None:
        return self.tracker.most_recent_published_message_id(X)


@settings(max_examples=300)
@given(
    ways=st.dictionaries(st.integers(1, EVENTS), st.sampled_from(WAYS), max_size=6),
    window=st.integers(1, 7),
    batch_size=st.integers(1, 7),
    forgetful=st.booleans(),
    limit=st.none() | st.integers(1, EVENTS),
)
def test_all_but_the_poison_arrives_once_in_order_and_the_poison_is_noted(
    ways: dict[int, str], window: int, batch_size: int, forgetful: bool, limit: int | None
) -> None:
    producer = PoisonedProducer(ways, window=window, forgetful=forgetful)
    world = World(producer, passes=True, batch_size=batch_size)
    good = [n for n in range(1, EVENTS + 1) if n not in ways]
    sent = world.service.publish_notifications(X, limit)
    assert sent == len(good[:limit])
    assert world.arrived == good[:limit]
    while world.service.publish_notifications(X, limit):
        pass
    assert world.arrived == good
    assert world.quarantined == sorted(ways)
    assert world.position == EVENTS


@pytest.mark.parametrize("forgetful", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_stopped_exchange_has_tracked_all_before_and_goes_on_when_mended(
    way: str, forgetful: bool
) -> None:
    world = World(PoisonedProducer({7: way}, forgetful=forgetful), passes=False)
    for _ in range(2):
        with pytest.raises(UndeliverableEventError) as raised:
            world.service.publish_notifications(X)
        assert raised.value.event_id == 7
        assert world.arrived == [1, 2, 3, 4, 5, 6]
        assert world.position == 6
        (row,) = world.tracker.tracked_exchanges()
        assert row.stop is not None
        assert (row.stop.event_id, row.stop.reason) == (7, "event 7 is too large")
        assert row.owner is None
    world.producer.ways.clear()
    assert world.service.publish_notifications(X) == 6
    assert world.arrived == list(range(1, EVENTS + 1))
    (row,) = world.tracker.tracked_exchanges()
    assert row.stop is None


def test_a_refusal_that_is_never_named_stops_instead_of_going_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = PoisonedProducer({7: LATE})
    monkeypatch.setattr(
        "tests.quarantine.poisoned.undeliverable",
        lambda name, _: UndeliverableEventError("some event is too large", exchange_name=name),
    )
    world = World(producer, passes=True)
    with pytest.raises(UndeliverableEventError, match="some event"):
        world.service.publish_notifications(X)
    assert producer.opened <= 3
    (row,) = world.tracker.tracked_exchanges()
    assert row.stop is not None
    assert row.stop.event_id is None


def test_poison_is_not_passed_while_the_broker_is_away_for_those_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = PoisonedProducer({7: AT_SEND})
    world = World(producer, passes=True, batch_size=20)
    away = BrokerUnavailableError("away", exchange_name=X)

    def is_away(*_: object) -> None:
        producer.broker.refuse()
        raise away

    monkeypatch.setattr(PoisonedExchange, "flush", is_away)
    with pytest.raises(BrokerUnavailableError):
        world.service.publish_notifications(X)
    assert world.quarantined == []
    assert (world.position or 0) < 7
    monkeypatch.undo()
    producer.broker.admit()
    world.service.publish_notifications(X)
    assert world.quarantined == [7]
    assert world.arrived == [n for n in range(1, EVENTS + 1) if n != 7]


@pytest.mark.parametrize("passes", [False, True])
def test_events_before_the_poison_that_a_full_queue_refuses_are_what_is_told(
    monkeypatch: pytest.MonkeyPatch, passes: bool
) -> None:
    producer = PoisonedProducer({7: LATE}, window=20, forgetful=True)
    world = World(producer, passes=passes, batch_size=20)
    flush = PoisonedExchange.flush

    def full_after_the_first(exchange: PoisonedExchange, timeout: float | None = None) -> None:
        if producer.opened > 1:
            raise NotAcceptedError("the queue is full", exchange_name=X, event_id=1)
        flush(exchange, timeout)

    monkeypatch.setattr(PoisonedExchange, "flush", full_after_the_first)
    with pytest.raises(NotAcceptedError, match="full"):
        world.service.publish_notifications(X)
    assert world.quarantined == []
    assert [row.stop for row in world.tracker.tracked_exchanges()] == [None]


def test_a_retry_that_the_broker_does_not_accept_leaves_the_event_there_and_holds_up_none() -> None:
    producer = PoisonedProducer({6: AT_SEND})
    world = World(producer, passes=True)
    world.service.publish_notifications(X)
    mended = replace(world.route, producer=InMemoryProducer(producer.broker))
    world.tracker.ask_to_retry(X)
    producer.broker.reject(X)
    with world.store.transaction() as transaction:
        world.store.append(transaction, NewEvent("Numbered", {"n": 13}))

    with running(mended, Owner()) as run:
        retry(run)
        run.step()
        run.flush()

    assert world.arrived == [*range(1, 6), *range(7, 14)]
    (left,) = world.tracker.quarantined_events(X)
    assert (left.event_id, left.retry_asked) == (6, False)
    assert "Event 6 was not accepted" in left.reason
