"""Many exchanges of one source that begin together ask the store once for what is the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tidings import InMemoryEventStore, NewEvent, StoreUnavailableError
from tidings.relay.shared_reader import SharedReader
from tidings.relay.shared_store import SharedStore
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidings import StoredEvent

COUNT = 20


class Slow(InMemoryEventStore):
    """Answers only when the test says so, and counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = threading.Event()
        self.answers.set()
        self.checks = 0
        self.reads = 0
        self.error: Exception | None = None

    @override
    def check(self) -> None:
        self.checks += 1
        self.answers.wait(60)
        if self.error is not None:
            raise self.error

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        self.reads += 1
        return super().all_stored_events_since(event_id, limit)


@pytest.fixture
def store() -> Slow:
    return Slow()


@pytest.fixture
def reader(store: Slow) -> Iterator[SharedReader]:
    reader = SharedReader(lambda: store, 0.02)
    yield reader
    for view in set(vars(reader)["_views"]):
        view.close()


def begin_together(reader: SharedReader, store: Slow) -> list[BaseException | None]:
    """Let views check the store, all of them while it is busy with the first; return the errors."""
    views = [SharedStore(reader) for _ in range(COUNT)]
    store.answers.clear()
    with ThreadPoolExecutor(COUNT) as threads:
        checks = [threads.submit(view.check) for view in views]
        eventually(lambda: all(vars(view)["_begun"] for view in views))
        store.answers.set()
        return [check.exception() for check in checks]


def test_a_thousand_exchanges_that_start_do_not_check_the_store_a_thousand_times(
    reader: SharedReader, store: Slow
) -> None:
    assert begin_together(reader, store) == [None] * COUNT
    assert store.checks <= 2, "one that began before the others asked, and one for those"


def test_each_exchange_that_starts_meets_the_fault_by_itself(
    reader: SharedReader, store: Slow
) -> None:
    store.error = StoreUnavailableError("gone")
    assert begin_together(reader, store) == [store.error] * COUNT
    assert store.checks == COUNT


def test_a_check_from_before_a_run_is_not_enough(reader: SharedReader, store: Slow) -> None:
    view = SharedStore(reader)
    view.check()
    view.check()
    assert store.checks == 2


def test_what_a_store_tells_of_itself_is_never_older_than_the_question(
    reader: SharedReader, store: Slow
) -> None:
    one, other = SharedStore(reader), SharedStore(reader)
    for count in range(1, 4):
        append(store)
        assert one.newest_event_id() == count
        assert other.newest_event_id() == count
    store.prune(2)
    assert one.oldest_event_id() == 3


def test_an_exchange_that_starts_takes_from_the_others_nothing_that_was_read(
    reader: SharedReader, store: Slow
) -> None:
    one, other = SharedStore(reader), SharedStore(reader)
    one.check()
    other.check()
    append(store)
    one.all_stored_events_since(0, 10)
    SharedStore(reader).check()
    assert [event.event_id for event in other.all_stored_events_since(0, 10)] == [1]
    assert store.reads == 1


def append(store: Slow) -> None:
    with store.transaction() as transaction:
        store.append(transaction, NewEvent("A", {}))
