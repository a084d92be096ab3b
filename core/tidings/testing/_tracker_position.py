"""A tracker's positions."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tidings.errors import LeaseLostError, StoreNotReadyError
from tidings.event import MAX_EVENT_ID, StoredEvent
from tidings.interfaces import Position, fingerprint
from tidings.testing import samples
from tidings.testing._judging import broken, check
from tidings.testing._left_open import expect_nothing_open, files, threads
from tidings.testing._making import make_at
from tidings.testing.promises import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces import Lease, PublishedMessageTracker, TrackedExchange
    from tidings.testing._making import MakeTracker
    from tidings.testing.proxy import Link

LONG = 300.0
"""A lease that no test outlives."""

COUNTED = 1000
"""What a tracker that counts its replays does not reach."""

NAMES = (
    *samples.names_like("my-bc"),
    *(
        "my-bc",
        "My-BC",
        "my-b",
        "my-bcd",
        "y-bc",
        "my_bc",
        "m%",
        "Übersicht 東京 🎉",
        "x" * 255,
        "a'b\"c;%s:n\\",
    ),
)
"""Exchange names that a careless tracker takes for each other, or chokes on."""


class PositionPromises:
    """What holds for positions."""

    can_be_restored: ClassVar[bool]
    has_link: ClassVar[bool]
    needs_create: ClassVar[bool]
    patience: ClassVar[float]

    def test_an_unknown_exchange_has_no_position(self, tracker: PublishedMessageTracker) -> None:
        expect_position(tracker, "my-bc-app", None)
        known = list(tracker.tracked_exchanges())
        check(known == [], Tracker.TRACKED_EXCHANGES, f"A new tracker knows {known}.")

    def test_a_first_lease_begins_before_the_first_event(
        self, tracker: PublishedMessageTracker
    ) -> None:
        lease = tracker.acquire_lease("my-bc-app", "one", LONG)
        found = (lease.exchange_name, lease.owner, lease.position, lease.fingerprint)
        check(
            found == ("my-bc-app", "one", Position(0, 0), None),
            Tracker.ACQUIRE,
            f"The first lease of an exchange says {found}.",
        )
        check(lease.seconds == LONG, Tracker.ACQUIRE, f"lease.seconds is {lease.seconds}.")
        expect_position(tracker, "my-bc-app", None)

    def test_track_moves_the_position(self, tracker: PublishedMessageTracker) -> None:
        lease = tracker.acquire_lease("my-bc-app", "one", LONG)
        for event_id in (1, 2, 1000, 2**31, 2**53 + 1, MAX_EVENT_ID):
            tracker.track_most_recent_published_message("my-bc-app", event(event_id), lease)
            expect_position(tracker, "my-bc-app", event_id)

    def test_what_was_tracked_outlives_the_object(self, new_tracker: MakeTracker) -> None:
        first = new_tracker()
        first.create()
        lease = first.acquire_lease("my-bc-app", "one", LONG)
        first.track_most_recent_published_message("my-bc-app", event(7), lease)
        second = new_tracker()
        expect_position(second, "my-bc-app", 7, Tracker.DURABLE)
        second.track_most_recent_published_message("my-bc-app", event(8), lease)
        first.close()
        expect_position(first, "my-bc-app", 8, Tracker.CLOSE)
        first.close()

    def test_the_next_lease_holds_position_and_fingerprint(
        self, tracker: PublishedMessageTracker
    ) -> None:
        for event_id, name in enumerate(samples.TYPE_NAMES.values(), 1):
            tracked = event(event_id)._replace(type_name=name)
            lease = tracker.acquire_lease("my-bc-app", "one", LONG)
            tracker.track_most_recent_published_message("my-bc-app", tracked, lease)
            tracker.release_lease(lease)
            following = tracker.acquire_lease("my-bc-app", "two", LONG)
            found = (following.position.event_id, following.fingerprint)
            wanted = (event_id, fingerprint(tracked))
            check(
                found == wanted,
                "fingerprint: `fingerprint` of the event at that position",
                f"Event {event_id} was tracked; the next lease says {found}, not {wanted}.",
            )
            tracker.release_lease(following)

    def test_exchanges_do_not_share_a_position(self, tracker: PublishedMessageTracker) -> None:
        leases = {name: tracker.acquire_lease(name, "one", LONG) for name in NAMES}
        for event_id, (name, lease) in enumerate(leases.items(), 10):
            tracker.track_most_recent_published_message(name, event(event_id), lease)
        for event_id, name in enumerate(NAMES, 10):
            expect_position(tracker, name, event_id, Tracker.ONE_POSITION)

    def test_tracked_exchanges_are_listed_by_name(self, tracker: PublishedMessageTracker) -> None:
        kept = tracker.acquire_lease("b", "one", LONG)
        tracker.track_most_recent_published_message("b", event(5), kept)
        tracker.release_lease(tracker.acquire_lease("c", "two", LONG))
        tracker.replay("a", 3)
        found = [
            (each.exchange_name, each.position.event_id, each.owner) for each in _listed(tracker)
        ]
        wanted = [("a", 3, None), ("b", 5, "one"), ("c", 0, None)]
        check(found == wanted, Tracker.TRACKED_EXCHANGES, f"Listed are {found}, not {wanted}.")

    def test_one_tracked_exchange_is_shown_as_it_is_among_all(
        self, tracker: PublishedMessageTracker
    ) -> None:
        for event_id, name in enumerate(NAMES, 10):
            found = tracker.tracked_exchange(name)
            shown = found and found.exchange_name
            check(
                found is None,
                Tracker.TRACKED_EXCHANGE,
                f"Exchange {name!r} has no row, and tracked_exchange() shows that of {shown!r}.",
            )
            lease = tracker.acquire_lease(name, "one", LONG)
            tracker.track_most_recent_published_message(name, event(event_id), lease)
        for row in tracker.tracked_exchanges():
            expect_shown_alike(tracker, row)

    def test_replay_sets_the_position_of_that_exchange_alone(
        self, tracker: PublishedMessageTracker
    ) -> None:
        running = {name: tracker.acquire_lease(name, "one", LONG) for name in ("a", "b")}
        for name, lease in running.items():
            tracker.track_most_recent_published_message(name, event(50), lease)
        tracker.replay("a", 20)
        expect_position(tracker, "a", 20, Tracker.REPLAY)
        self._expect_lost(tracker, running["a"])
        expect_position(tracker, "a", 20, Tracker.REPLAY)
        following = tracker.acquire_lease("a", "two", LONG)
        check(
            following.position == Position(20, max(following.position.generation, 1)),
            Tracker.REPLAY,
            f"After replay the next lease's position is {following.position}.",
        )
        check(
            following.epoch > running["a"].epoch,
            Tracker.EPOCH_GROWS,
            f"After replay the epoch went from {running['a'].epoch} to {following.epoch}.",
        )
        check(
            following.fingerprint != fingerprint(event(50)),
            "fingerprint: `fingerprint` of the event at that position",
            "After replay to event 20 the lease has the fingerprint of event 50.",
        )
        tracker.track_most_recent_published_message("b", event(51), running["b"])
        expect_position(tracker, "b", 51, "No other exchange notices.")

    def test_replay_from_the_beginning_gives_every_event(
        self, tracker: PublishedMessageTracker
    ) -> None:
        lease = tracker.acquire_lease("a", "one", LONG)
        tracker.track_most_recent_published_message("a", event(50), lease)
        found: list[Position] = []
        for _ in range(2):
            tracker.replay("a", 0)
            found.append(tracker.acquire_lease("a", "one", LONG).position)
        first, second = found
        check(
            first.event_id == second.event_id == 0 < first.generation < second.generation,
            Tracker.REPLAY,
            f"After two replays from 0 the next leases' positions are {first} and {second}.",
        )

    def test_a_replay_begins_a_generation_that_no_other_began(
        self, tracker: PublishedMessageTracker
    ) -> None:
        tracker.replay("a", 5)
        generation = tracker.acquire_lease("a", "one", LONG).position.generation
        check(
            generation <= MAX_EVENT_ID,
            Tracker.GENERATION,
            f"The generation of a replay is {generation}.",
        )
        if self.can_be_restored:
            check(
                generation > COUNTED,
                Tracker.NEVER_AGAIN,
                f"The first replay began generation {generation}. If a backup of before is "
                "restored, the next replay begins that one again.",
            )

    def test_of_two_replays_that_saw_the_same_generation_one_changes_something(
        self, tracker: PublishedMessageTracker
    ) -> None:
        for name in ("a", "new"):
            check(
                tracker.replay(name, 20, generation=0),
                Tracker.REPLAYED_FIRST,
                f"Of {name!r}, never replayed before, replay() of generation 0 returned False.",
            )
        check(
            not tracker.replay("a", 30, generation=0),
            Tracker.REPLAYED_FIRST,
            "A replay had been done, and replay() of generation 0 after that returned True.",
        )
        expect_position(tracker, "a", 20, Tracker.REPLAYED_FIRST)
        generation = tracker.acquire_lease("a", "one", LONG).position.generation
        check(
            tracker.replay("a", 30, generation=generation),
            Tracker.REPLAYED_FIRST,
            f"replay() of generation {generation}, which the exchange has, returned False.",
        )
        expect_position(tracker, "a", 30, Tracker.REPLAYED_FIRST)

    def test_close_leaves_nothing_open(
        self,
        tracker: PublishedMessageTracker,
        make_tracker: MakeTracker,
        request: pytest.FixtureRequest,
    ) -> None:
        tracker.close()
        link: Link | None = request.getfixturevalue("link") if self.has_link else None
        threads_before, files_before = threads(), files()
        closed = make_at(make_tracker, link.address if link else None)
        lease = closed.acquire_lease("a", "one", LONG)
        closed.track_most_recent_published_message("a", event(5), lease)
        expect_position(closed, "a", 5)
        closed.close()
        expect_nothing_open(
            Tracker.CLOSE, threads_before, files_before, link, seconds=min(self.patience, 5)
        )

    def test_create_again_keeps_what_is_there(
        self, tracker: PublishedMessageTracker, new_tracker: MakeTracker
    ) -> None:
        lease = tracker.acquire_lease("a", "one", LONG)
        tracker.track_most_recent_published_message("a", event(5), lease)
        tracker.create()
        other = new_tracker()
        other.create()
        expect_position(other, "a", 5, Tracker.CREATE)

    def test_without_its_tables_it_is_not_ready(self, new_tracker: MakeTracker) -> None:
        if not self.needs_create:
            pytest.skip("declared: needs_create = False")
        tracker = new_tracker()
        calls: dict[str, Callable[[], Any]] = {
            "acquire_lease()": lambda: tracker.acquire_lease("a", "one", LONG),
            "most_recent_published_message_id()": lambda: tracker.most_recent_published_message_id(
                "a"
            ),
            "tracked_exchanges()": tracker.tracked_exchanges,
        }
        for name, call in calls.items():
            try:
                call()
            except StoreNotReadyError:
                continue
            broken(Tracker.NOT_READY, f"create() was never called, and {name} raised nothing.")
        tracker.close()

    def _expect_lost(self, tracker: PublishedMessageTracker, lease: Lease) -> None:
        calls: dict[str, Callable[[], None]] = {
            "track": lambda: tracker.track_most_recent_published_message("a", event(60), lease),
            "renew its lease": lambda: tracker.renew_lease(lease),
        }
        for name, call in calls.items():
            try:
                call()
            except LeaseLostError:
                continue
            broken(Tracker.REPLAY, f"After replay, the relay that ran before may still {name}.")


def event(event_id: int) -> StoredEvent:
    """Return an event to track."""
    return StoredEvent(event_id, f"Tracked{event_id}", "{}", samples.START)


def expect_shown_alike(tracker: PublishedMessageTracker, row: TrackedExchange) -> None:
    """Fail unless the exchange is shown by itself as it is among all, in ``row``."""
    found = tracker.tracked_exchange(row.exchange_name)
    names = [field.name for field in fields(row)]
    differing = [name for name in names if getattr(found, name, None) != getattr(row, name)]
    check(
        found == row,
        Tracker.TRACKED_EXCHANGE,
        f"By itself, exchange {row.exchange_name!r} has another {', '.join(differing)}.",
    )


def expect_position(
    tracker: PublishedMessageTracker,
    exchange_name: str,
    event_id: int | None,
    promise: str = "",
) -> None:
    """Fail unless the exchange stands there."""
    found = tracker.most_recent_published_message_id(exchange_name)
    check(
        found == event_id,
        promise or Tracker.POSITION,
        f"The position of {exchange_name!r} is {found!r}; it should be {event_id!r}.",
    )


def _listed(tracker: PublishedMessageTracker) -> Sequence[Any]:
    return tracker.tracked_exchanges()
