"""A broker's memory of another store, or of one that was restored since, is never believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.relay.parts import REMEMBERS, Parts, PassingOn, Producer, X
from tidings import InMemoryEventStore, PositionMismatchError
from tidings.plugins import Accepted, fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.plugins import ExchangeContext, OpenExchange


def beside(parts: Parts, *, same_store: bool) -> Parts:
    """Return the parts of a store with nothing in it, and no position, at the same broker."""
    other = Parts()
    other.broker, other.producer = parts.broker, parts.producer
    if same_store:
        other.store = InMemoryEventStore(parts.store.identity())
    return other


def publish(parts: Parts) -> int:
    return parts.service(capabilities=REMEMBERS).publish_notifications(X)


@pytest.mark.parametrize("count", [2, 4, 9])
@pytest.mark.parametrize(
    ("same_store", "sentence"),
    [(True, r"the event store"), (False, "of another event store")],
    ids=["restored", "another"],
)
def test_an_event_that_is_not_the_stores_stops_the_exchange_until_a_replay(
    parts: Parts, count: int, sentence: str, *, same_store: bool
) -> None:
    parts.append(4)
    publish(parts)
    other = beside(parts, same_store=same_store)
    other.append(count)

    for _ in range(2):
        with pytest.raises(
            PositionMismatchError, match=f"already has event 4.*{sentence}.*tidings replay x --all"
        ):
            publish(other)
    other.append(3)
    with pytest.raises(PositionMismatchError):
        publish(other)
    assert other.position() is None
    advice = "first let its ids begin above all that were sent"
    with pytest.raises(PositionMismatchError) as refused:
        publish(other)
    assert (advice in str(refused.value)) is same_store
    (row,) = other.tracker.tracked_exchanges()
    assert row.stop is not None
    other.tracker.replay(X, 0)

    assert publish(other) == count + 3
    assert other.ids() == [1, 2, 3, 4, *range(1, count + 4)]


@pytest.mark.parametrize("replays", [1, 2])
def test_after_a_replay_what_another_store_sent_is_void_in_whatever_generation(
    parts: Parts, replays: int
) -> None:
    parts.append(4)
    for _ in range(replays):
        parts.tracker.replay(X, 0)
    publish(parts)
    other = beside(parts, same_store=False)
    other.append(9)
    with pytest.raises(PositionMismatchError, match="of another event store"):
        publish(other)
    other.tracker.replay(X, 0)

    assert publish(other) == 9
    parts.append(1)
    assert publish(parts) == 1


class _Remembering(PassingOn):
    """A broker says what the test wants it to say."""

    def __init__(
        self, inside: OpenExchange, said: Accepted | None, ahead: Sequence[Accepted]
    ) -> None:
        super().__init__(inside)
        self._said = said
        self._ahead = ahead

    @override
    def most_recent_accepted(self) -> Accepted | None:
        return self._said

    @override
    def accepted_ahead(self) -> Sequence[Accepted]:
        return self._ahead


class _Remembers(Producer):
    def __init__(self, parts: Parts, said: Accepted | None, ahead: Sequence[Accepted]) -> None:
        super().__init__(parts.broker)
        self._said = said
        self._ahead = ahead

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        return _Remembering(super().open_exchange(context), self._said, self._ahead)


def remembering(parts: Parts, said: Accepted | None, ahead: Sequence[Accepted] = ()) -> int:
    service = parts.service(_Remembers(parts, said, ahead), capabilities=REMEMBERS)
    return service.publish_notifications(X)


def test_an_id_alone_is_not_believed(parts: Parts) -> None:
    parts.append(6)

    with pytest.raises(PositionMismatchError, match="nothing shows that the event store's event"):
        remembering(parts, Accepted(4))
    with pytest.raises(PositionMismatchError, match="nothing shows"):
        remembering(parts, Accepted(4, store=parts.store.identity()))
    assert parts.ids() == []


def test_of_a_pruned_event_the_identity_of_the_store_decides(parts: Parts) -> None:
    parts.append(6)
    parts.store.prune(4)
    ours = Accepted(4, "20260102T030405.000006 OrderPlaced", 0, parts.store.identity())

    with pytest.raises(PositionMismatchError, match="nothing shows"):
        remembering(parts, ours._replace(store=""))
    with pytest.raises(PositionMismatchError, match="of another event store"):
        remembering(parts, ours._replace(store="another"))
    assert remembering(parts, ours) == 2
    assert parts.ids() == [5, 6]


def test_a_missing_event_passes_none_that_is_there(parts: Parts) -> None:
    """Of a restored store that gave the ids out again, and rolled this one back."""
    parts.append(3)
    parts.roll_back()
    parts.append(2)
    ours = Accepted(4, "20260102T030405.000006 OrderPlaced", 0, parts.store.identity())

    with pytest.raises(PositionMismatchError, match="nothing shows"):
        remembering(parts, ours)
    assert parts.ids() == []


def test_a_memory_that_is_no_further_than_the_position_says_nothing(parts: Parts) -> None:
    parts.append(6)
    parts.service().publish_notifications(X, 5)

    assert remembering(parts, Accepted(5, "x", 0, "another")) == 1


def test_what_single_partitions_have_is_compared_and_passes_nothing(parts: Parts) -> None:
    parts.append(6)
    events = {event.event_id: event for event in parts.store.all_stored_events_since(0, 6)}
    two, five = (
        Accepted(number, fingerprint(events[number]), 0, parts.store.identity())
        for number in (2, 5)
    )

    for wrong in (five._replace(fingerprint="another"), five._replace(event_id=7)):
        with pytest.raises(PositionMismatchError, match=f"already has event {wrong.event_id}"):
            remembering(parts, two, [two, wrong])
    with pytest.raises(PositionMismatchError, match="already has event 5"):
        remembering(parts, None, [five._replace(store="another")])
    assert parts.ids() == []
    assert remembering(parts, two, [two, five]) == 4, "behind what every partition has"
    assert parts.ids() == [3, 4, 5, 6]
