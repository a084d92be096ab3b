"""Exchanges that share a reader get what each would get by itself, for less work."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.relay.parts import relay_threads
from tests.relay.working import running
from tidings import InMemoryEventStore, NewEvent, StoreUnavailableError
from tidings.plugins import Capability, EventStore, Hold, OpenExchange, Waited
from tidings.relay import exchange_worker, poller, shared_reader, worker
from tidings.relay.answer import NOTHING, Answer
from tidings.relay.shared_answers import Waiting
from tidings.relay.shared_reader import SharedReader
from tidings.relay.shared_store import SharedStore, interrupt, look_at
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.relay.parts import Parts
    from tidings import StoredEvent

POLL = 0.02
LONG = 60.0


class Counting(InMemoryEventStore):
    """Counts what it is asked; fails if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []
        self.polls: list[int] = []
        self.looks: list[int] = []
        self.held: Hold | None = None
        self.watches = 0
        self.closes = 0
        self.error: Exception | None = None
        self.poll_error: Exception | None = None

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        polls = threading.current_thread().name == "tidings-reader"
        (self.polls if polls else self.reads).append(event_id)
        error = self.error or (self.poll_error if polls else None)
        if error is not None:
            raise error
        return super().all_stored_events_since(event_id, limit)

    @override
    def stored_event(self, event_id: int) -> StoredEvent | None:
        self.looks.append(event_id)
        return super().stored_event(event_id)

    @override
    def hold(self) -> Hold | None:
        return self.held

    @override
    def watch(self) -> None:
        self.watches += 1
        if self.error is not None:
            raise self.error

    @override
    def close(self) -> None:
        self.closes += 1


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def reader(store: Counting) -> Iterator[SharedReader]:
    reader = SharedReader(lambda: store, POLL)
    yield reader
    for view in set(vars(reader)["_views"]):
        view.close()


def append(store: EventStore, count: int = 1) -> None:
    with store.transaction() as transaction:
        store.append(transaction, *(NewEvent("A", {}) for _ in range(count)))


def ids(events: Sequence[StoredEvent]) -> list[int]:
    return [event.event_id for event in events]


def opened(reader: SharedReader, count: int) -> list[EventStore]:
    views: list[EventStore] = [SharedStore(reader) for _ in range(count)]
    for view in views:
        view.check()
    return views


def test_what_one_has_read_the_others_get_from_memory(
    reader: SharedReader, store: Counting
) -> None:
    views = opened(reader, 20)
    append(store, 5)
    assert [ids(view.all_stored_events_since(0, 10)) for view in views] == [[1, 2, 3, 4, 5]] * 20
    assert store.reads == [0]


def test_who_asks_for_fewer_gets_the_first_ones(reader: SharedReader, store: Counting) -> None:
    one, other = opened(reader, 2)
    append(store, 5)
    one.all_stored_events_since(0, 10)
    assert ids(other.all_stored_events_since(0, 2)) == [1, 2]
    assert ids(other.all_stored_events_since(2, 2)) == [3, 4]


def test_a_run_that_begins_gets_nothing_that_was_read_before(
    reader: SharedReader, store: Counting
) -> None:
    """An operator may have mended a row, and replayed."""
    one, other = opened(reader, 2)
    append(store)
    one.all_stored_events_since(0, 10)
    other.check()
    other.all_stored_events_since(0, 10)
    assert store.reads == [0, 0]


def test_after_a_failure_nothing_is_given_from_memory(
    reader: SharedReader, store: Counting
) -> None:
    one, other = opened(reader, 2)
    append(store, 2)
    one.all_stored_events_since(0, 10)
    store.error = StoreUnavailableError("gone")
    with pytest.raises(StoreUnavailableError):
        one.all_stored_events_since(2, 10)
    with pytest.raises(StoreUnavailableError):
        other.all_stored_events_since(0, 10)


def test_what_was_read_is_given_for_a_moment_only(
    reader: SharedReader, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reader, "KEPT_SECONDS", 0.0)
    one, other = opened(reader, 2)
    append(store)
    one.all_stored_events_since(0, 10)
    other.all_stored_events_since(0, 10)
    assert store.reads == [0, 0]


def test_memory_is_bounded_in_bytes(
    reader: SharedReader, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reader, "KEPT_BYTES", 1000)
    one, other = opened(reader, 2)
    append(store, 4)
    for since in range(4):
        one.all_stored_events_since(since, 1)
    for since in (3, 2, 1, 0):
        other.all_stored_events_since(since, 1)
    assert store.reads == [0, 1, 2, 3, 1, 0], "of four, two fit"


def test_who_waits_is_woken_by_one_who_looks_for_all(reader: SharedReader, store: Counting) -> None:
    views = opened(reader, 10)
    came: list[Waited] = []

    def wait(view: EventStore) -> None:
        view.all_stored_events_since(0, 10)
        came.append(view.wait(LONG))

    threads = [threading.Thread(target=wait, args=[view]) for view in views]
    for thread in threads:
        thread.start()
    eventually(lambda: store.polls)
    append(store)
    for thread in threads:
        thread.join(LONG)
    assert came == [Waited.MAY_BE_NEW] * 10
    reads = len(store.reads)
    assert [ids(view.all_stored_events_since(0, 10)) for view in views] == [[1]] * 10
    assert len(store.reads) == reads, "what was polled is what they get"


def test_a_wait_without_news_ends_in_time(reader: SharedReader) -> None:
    (view,) = opened(reader, 1)
    view.all_stored_events_since(0, 10)
    assert view.wait(0.05) is Waited.TIME_IS_UP


def test_nobody_polls_while_nobody_waits(reader: SharedReader, store: Counting) -> None:
    (view,) = opened(reader, 1)
    view.all_stored_events_since(0, 10)
    view.wait(0.05)
    eventually(lambda: store.polls)
    append(store)
    view.all_stored_events_since(0, 10)
    polls = len(store.polls)
    view.stored_event(1)
    threading.Event().wait(5 * POLL)
    assert len(store.polls) <= polls + 1, "one may have been under way"


def test_who_waits_meets_the_fault_of_the_poll(reader: SharedReader, store: Counting) -> None:
    (view,) = opened(reader, 1)
    view.all_stored_events_since(0, 10)
    store.poll_error = StoreUnavailableError("too many connections")
    assert view.wait(LONG) is Waited.MAY_BE_NEW
    assert view.all_stored_events_since(0, 10) == [], "the reading itself works"


def test_the_last_to_close_ends_the_poller_and_gives_back_the_connections(
    reader: SharedReader, store: Counting
) -> None:
    one, other = opened(reader, 2)
    one.all_stored_events_since(0, 10)
    one.wait(0.01)
    one.close()
    assert store.closes == 0
    assert "tidings-reader" in relay_threads()
    other.close()
    assert store.closes == 2, "the one to read on, and the one to poll on"
    assert "tidings-reader" not in relay_threads()
    other.close()


def test_a_closed_one_can_be_used_again(reader: SharedReader, store: Counting) -> None:
    (view,) = opened(reader, 1)
    view.all_stored_events_since(0, 10)
    view.wait(0.01)
    view.close()
    append(store)
    view.all_stored_events_since(1, 10)
    append(store)
    assert view.wait(LONG) is Waited.MAY_BE_NEW
    view.close()


def test_one_look_at_the_store_is_for_all(reader: SharedReader, store: Counting) -> None:
    views = opened(reader, 10)
    for view in views:
        view.watch()
    assert store.watches == 1


def test_a_store_that_is_another_now_is_told_to_each(reader: SharedReader, store: Counting) -> None:
    store.error = StoreUnavailableError("another file")
    for view in opened(reader, 3):
        with pytest.raises(StoreUnavailableError):
            view.watch()
    assert store.watches == 3


@pytest.mark.usefixtures("impatient")
def test_many_exchanges_with_one_reader_each_get_every_event(
    parts: Parts, reader: SharedReader, store: Counting
) -> None:
    names = [f"x{number}" for number in range(12)]
    routes = [parts.route(name, event_store=SharedStore(reader)) for name in names]
    with running(*routes):
        for total in (1, 4, 9):
            append(store, total - (store.newest_event_id() or 0))
            eventually(lambda total=total: all(parts.position(name) == total for name in names))  # type: ignore[misc]
    assert all(parts.ids(name) == list(range(1, 10)) for name in names)


def polled(view: EventStore, store: Counting) -> None:
    """Return when a poll that began after this has ended."""
    view.all_stored_events_since(0, 10)
    before = len(store.polls)
    eventually(lambda: view.wait(10 * POLL) and len(store.polls) > before + 2)


def test_while_the_poll_finds_nothing_nobody_else_looks(
    reader: SharedReader, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reader, "QUIET_SECONDS", LONG)
    views = opened(reader, 5)
    polled(views[0], store)
    store.reads.clear()
    assert [ids(view.all_stored_events_since(0, 10)) for view in views] == [[]] * 5
    assert [view.hold() for view in views] == [None] * 5
    assert store.reads == []


def test_what_the_poll_found_long_ago_says_nothing(
    reader: SharedReader, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reader, "QUIET_SECONDS", 0.0)
    (view,) = opened(reader, 1)
    polled(view, store)
    append(store)
    assert ids(view.all_stored_events_since(0, 10)) == [1]


def test_a_run_that_begins_believes_no_poll_from_before(
    reader: SharedReader, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reader, "QUIET_SECONDS", LONG)
    (view,) = opened(reader, 1)
    polled(view, store)
    append(store)
    other = SharedStore(reader)
    other.check()
    assert ids(other.all_stored_events_since(0, 10)) == [1]
    assert ids(view.all_stored_events_since(0, 10)) == [1]


def test_a_poll_that_was_held_stands_for_nobody(
    reader: SharedReader, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reader, "QUIET_SECONDS", LONG)
    store.held = Hold(1, "somebody", 5.0)
    (view,) = opened(reader, 1)
    polled(view, store)
    store.reads.clear()
    view.all_stored_events_since(0, 10)
    assert view.hold() is store.held
    assert store.reads == [0]


def test_idle_exchanges_share_a_look_at_the_event_at_their_position(
    reader: SharedReader, store: Counting
) -> None:
    views = opened(reader, 10)
    append(store)
    for view in views:
        view.all_stored_events_since(0, 10)
    store.looks.clear()
    for view in views * 3:
        assert look_at(view, 1) is not None
    assert store.looks == [1]


def test_a_look_is_taken_anew_after_events_were_given(
    reader: SharedReader, store: Counting
) -> None:
    """They may have come from another store than the one that was looked at."""
    one, other = opened(reader, 2)
    append(store)
    look_at(one, 1)
    store.looks.clear()
    one.all_stored_events_since(0, 10)
    look_at(other, 1)
    assert store.looks == [], "nothing was given to that one"
    look_at(one, 1)
    assert store.looks == [1]


def test_a_look_from_before_a_run_shows_it_nothing(reader: SharedReader, store: Counting) -> None:
    one, other = opened(reader, 2)
    append(store)
    look_at(one, 1)
    other.check()
    store.looks.clear()
    look_at(other, 1)
    assert store.looks == [1]


def test_a_look_lasts_for_a_moment_only(
    reader: SharedReader, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reader, "LOOK_SECONDS", 0.0)
    (view,) = opened(reader, 1)
    append(store)
    look_at(view, 1)
    store.looks.clear()
    look_at(view, 1)
    assert store.looks == [1]


def test_a_poll_that_was_under_way_as_a_run_began_shows_it_nothing(
    reader: SharedReader, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reader, "QUIET_SECONDS", LONG)
    (view,) = opened(reader, 1)
    begun = time.monotonic()
    view.check()
    vars(reader)["_waiting"][view] = Waiting(0, 10, threading.Event())
    reader.polled(0, NOTHING, begun)
    append(store)
    assert ids(view.all_stored_events_since(0, 10)) == [1]


def test_a_poll_for_one_who_waits_no_more_stands_for_nobody(
    reader: SharedReader, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reader, "QUIET_SECONDS", LONG)
    (view,) = opened(reader, 1)
    begun = time.monotonic()
    append(store)
    reader.polled(0, NOTHING, begun)
    assert ids(view.all_stored_events_since(0, 10)) == [1]


def test_a_look_that_was_under_way_as_a_run_began_shows_it_nothing(
    reader: SharedReader, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = opened(reader, 2)
    append(store)
    stored_event = store.stored_event

    def begin_a_run_meanwhile(event_id: int) -> StoredEvent | None:
        vars(other)["_begun"] = time.monotonic()
        return stored_event(event_id)

    with monkeypatch.context() as patch:
        patch.setattr(store, "stored_event", begin_a_run_meanwhile)
        look_at(one, 1)
    store.looks.clear()
    look_at(other, 1)
    assert store.looks == [1]


class Telling(Counting):
    """Says when there is something new."""

    capabilities = InMemoryEventStore.capabilities | {Capability.WAKE_UP}

    def __init__(self) -> None:
        super().__init__()
        self.news = threading.Event()

    @override
    def wait(self, seconds: float) -> Waited:
        told = self.news.wait(seconds)
        self.news.clear()
        return Waited.MAY_BE_NEW if told else Waited.TIME_IS_UP


class Deaf(Telling):
    """Could say so, and just now cannot."""

    @override
    def wait(self, seconds: float) -> Waited:
        return Waited.CANNOT_TELL


def test_a_store_that_tells_of_news_and_holds_nothing_is_not_read_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poller, "POLL_ANYWAY", LONG)
    store = Telling()
    (view,) = opened(SharedReader(lambda: store, POLL), 1)
    with closing(view):
        view.wait(20 * POLL)
        assert len(store.polls) == 1

        append(store)
        store.news.set()
        assert view.wait(LONG) is Waited.MAY_BE_NEW


def test_who_is_told_of_nothing_new_needs_no_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "POLL_ANYWAY", LONG)
    store = Telling()
    one, other = opened(SharedReader(lambda: store, POLL), 2)
    with closing(one), closing(other):
        one.wait(4 * shared_reader.QUIET_SECONDS)
        other.all_stored_events_since(0, 10)
        assert store.reads == []


def test_a_store_that_cannot_tell_just_now_is_read_at_every_poll(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poller, "POLL_ANYWAY", 2 * LONG)
    store = Deaf()
    (view,) = opened(SharedReader(lambda: store, POLL), 1)
    with closing(view):
        view.wait(20 * POLL)
        append(store)
        assert view.wait(LONG) is Waited.MAY_BE_NEW


def test_the_end_of_a_hold_is_looked_for_at_every_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "POLL_ANYWAY", LONG)
    store = Telling()
    store.held = Hold(1, "process 1", 0.0)
    (view,) = opened(SharedReader(lambda: store, POLL), 1)
    with closing(view):
        view.wait(20 * POLL)
        assert len(store.polls) > 1
        append(store)  # as who holds it commits, of which nobody tells
        assert view.wait(LONG) is Waited.MAY_BE_NEW


def test_a_read_that_was_held_ends_what_an_earlier_one_said(
    reader: SharedReader, store: Counting
) -> None:
    one, other = opened(reader, 2)
    one.all_stored_events_since(0, 10)
    store.held = Hold(1, "process 1", 0.0)
    reader.polled(0, Answer((), store.held), time.monotonic())
    other.all_stored_events_since(0, 10)

    assert other.hold() == store.held


def test_a_wait_that_is_interrupted_ends_and_none_begins_until_the_view_is_used_anew(
    reader: SharedReader,
) -> None:
    view = SharedStore(reader)
    view.check()
    ended: list[Waited] = []
    waiting = threading.Thread(target=lambda: ended.append(view.wait(LONG)))
    waiting.start()

    interrupt(view)

    waiting.join(LONG / 2)
    assert ended == [Waited.MAY_BE_NEW]
    assert view.wait(LONG) is Waited.MAY_BE_NEW
    view.close()
    view.check()
    assert view.wait(POLL) is Waited.TIME_IS_UP


def test_a_relay_that_waits_for_events_shuts_down_at_once(
    parts: Parts, reader: SharedReader, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LONGEST_WAIT", "LOOK_ANYWAY"):
        monkeypatch.setattr(exchange_worker, name, 2 * LONG)
    monkeypatch.setattr(worker, "LAST_JOIN", 2 * LONG)
    monkeypatch.setattr(OpenExchange, "longest_silence", 2 * LONG)
    with running(parts.route(event_store=SharedStore(reader)), poll_seconds=LONG):
        eventually(lambda: store.polls, "the exchange to wait")
    assert relay_threads() == []
