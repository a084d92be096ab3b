"""Whatever fails, in whatever order: nothing lost, nothing out of order, nothing tracked too early.

And if the broker remembers, nothing published twice. A position never goes back.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from typing_extensions import override

from tests.relay.parts import REMEMBERS, Parts, Producer, X, at, relay_threads
from tidings import (
    InMemoryTracker,
    NewEvent,
    NotificationService,
    StoreUnavailableError,
    TidingsError,
    UndeliverableEventError,
)
from tidings.plugins import Capability

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.event import StoredEvent
    from tidings.interfaces import Lease

PATTERN = "order.*"
BAD = "order.bad"
DISTURBANCES = [
    "reject",
    "cut",
    "freeze",
    "unbind",
    "poison",
    "tracker",
    "store",
    "takeover",
    "none",
]


class Tracker(InMemoryTracker):
    """Notes where positions are moved to."""

    def __init__(self) -> None:
        super().__init__()
        self.moves: list[int] = []

    @override
    def track_most_recent_published_message(
        self, exchange_name: str, event: StoredEvent, lease: Lease
    ) -> None:
        super().track_most_recent_published_message(exchange_name, event, lease)
        self.moves.append(event.event_id)

    @override
    def quarantine(self, exchange_name: str, event: StoredEvent, reason: str, lease: Lease) -> None:
        super().quarantine(exchange_name, event, reason, lease)
        self.moves.append(event.event_id)


class Relaying(RuleBasedStateMachine):
    """Appends, publishes with one disturbance at a time, and compares."""

    @initialize(
        remembers=st.sampled_from(["", "volatile", "durable"]),
        batch=st.integers(1, 5),
        passes_poison=st.booleans(),
    )
    def begin(self, remembers: str, batch: int, *, passes_poison: bool) -> None:
        self.parts = Parts()
        self.tracker = self.parts.tracker = Tracker()
        self.passes_poison = passes_poison
        self.parts.producer = Producer(self.parts.broker, no_progress=0.005)
        self.parts.producer.before_send = self.refuse
        self.batch = batch
        self.capabilities = {
            "": frozenset[Capability](),
            "volatile": REMEMBERS,
            "durable": REMEMBERS | {Capability.REMEMBERS_DURABLY},
        }[remembers]

    @rule(types=st.lists(st.sampled_from(["order.placed", "invoice.sent", BAD]), max_size=6))
    def append(self, types: list[str]) -> None:
        for type_name in types:
            if type_name != BAD or self.passes_poison:
                self.parts.append(1, type_name)

    @rule()
    def roll_back(self) -> None:
        with suppress(ZeroDivisionError), self.parts.store.transaction() as transaction:
            self.parts.store.append(transaction, NewEvent("order.placed", {}))
            _ = 1 / 0

    @rule(
        disturbance=st.sampled_from(DISTURBANCES),
        ahead=st.integers(1, 6),
        limit=st.none() | st.integers(1, 4),
    )
    def publish(self, disturbance: str, ahead: int, limit: int | None) -> None:
        parts = self.parts
        left = [each for each in self.wanted() if each > (parts.position() or 0)]
        event_id = left[min(ahead, len(left)) - 1] if left else 0
        with pytest.MonkeyPatch.context() as patch:
            disturb = at(event_id, self.disturbance(disturbance, patch, event_id))

            def before_send(this: int) -> None:
                disturb(this)
                self.refuse(this)

            parts.producer.before_send = before_send
            with suppress(TidingsError):
                self.service().publish_notifications(X, limit)
        parts.producer.before_send = self.refuse
        parts.broker.thaw()
        parts.broker.bind(X)
        parts.broker.reject(X, 0)

    def disturbance(
        self, name: str, patch: pytest.MonkeyPatch, event_id: int
    ) -> Callable[[], object]:
        parts, acquire = self.parts, self.parts.tracker.acquire_lease
        leases: list[Lease] = []

        def note(*arguments: Any, **options: Any) -> Lease:
            leases[:] = [acquire(*arguments, **options)]
            return leases[0]

        patch.setattr(parts.tracker, "acquire_lease", note)

        def gone(*_: object) -> None:
            raise StoreUnavailableError("The database is gone.")

        def poison() -> None:
            raise UndeliverableEventError("Too large.", exchange_name=X, event_id=event_id)

        def take_over() -> None:
            (held,) = leases
            taken = acquire(X, "other", 60, in_place_of=held.epoch)
            parts.tracker.release_lease(taken)

        return {
            "reject": lambda: parts.broker.reject(X),
            "cut": parts.broker.cut,
            "freeze": parts.broker.freeze,
            "unbind": lambda: parts.broker.unbind(X),
            "poison": poison,
            "tracker": lambda: patch.setattr(
                parts.tracker, "track_most_recent_published_message", gone
            ),
            "store": lambda: patch.setattr(parts.store, "all_stored_events_since", gone),
            "takeover": take_over,
            "none": lambda: None,
        }[name]

    def service(self) -> NotificationService:
        return self.parts.service(
            batch_size=self.batch,
            events=[PATTERN],
            capabilities=self.capabilities,
            passes_poison=self.passes_poison,
        )

    def refuse(self, event_id: int) -> None:
        """Refuse what can never be sent."""
        event = self.parts.store.stored_event(event_id)
        if event is not None and event.type_name == BAD:
            raise UndeliverableEventError("Bad.", exchange_name=X, event_id=event_id)

    def quarantined(self) -> set[int]:
        return {each.event_id for each in self.parts.tracker.quarantined_events(X)}

    def wanted(self) -> list[int]:
        stored = self.parts.store.all_stored_events_since(0, 10_000)
        sent = [event.event_id for event in stored if event.type_name == "order.placed"]
        return [each for each in sent if each not in self.quarantined()]

    def first_deliveries(self) -> list[int]:
        first = dict.fromkeys(self.parts.ids())
        return [each for each in first if each not in self.quarantined()]

    @invariant()
    def first_deliveries_are_complete_and_in_order(self) -> None:
        first = self.first_deliveries()
        assert first == self.wanted()[: len(first)]

    @invariant()
    def the_position_never_goes_back(self) -> None:
        moves = self.tracker.moves
        assert moves == sorted(moves)

    @invariant()
    def nothing_is_tracked_that_the_broker_has_not(self) -> None:
        position = self.parts.position() or 0
        arrived = set(self.parts.ids())
        assert [one for one in self.wanted() if one <= position and one not in arrived] == []

    @invariant()
    def a_broker_that_remembers_has_nothing_twice(self) -> None:
        ids = self.parts.ids()
        # One that may forget is sent the last event once more, before one goes into quarantine.
        if self.capabilities > REMEMBERS or (self.capabilities and not self.quarantined()):
            assert len(ids) == len(set(ids))

    @invariant()
    def nothing_is_left_behind(self) -> None:
        assert self.parts.owner() is None
        assert self.parts.broker.connections == 0
        assert relay_threads() == []

    @override
    def teardown(self) -> None:
        self.service().publish_notifications(X)
        assert self.first_deliveries() == self.wanted()
        self.a_broker_that_remembers_has_nothing_twice()


TestRelaying = Relaying.TestCase
TestRelaying.settings = settings(max_examples=100, stateful_step_count=12)
