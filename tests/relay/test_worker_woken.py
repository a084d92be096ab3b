"""An idle exchange is woken by an event store that can tell, and depends on none that can."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.relay.parts import Parts, X
from tests.relay.working import running
from tidings import InMemoryEventStore
from tidings.plugins import Capability, OpenExchange, Waited
from tidings.relay import exchange_worker
from tidings.testing import eventually

pytestmark = pytest.mark.usefixtures("impatient")

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings import StoredEvent

FOR_EVER = 3600.0


class TellingStore(InMemoryEventStore):
    """Ends a wait when the test says so; notes what the worker does."""

    capabilities = frozenset({Capability.WAKE_UP})

    def __init__(self) -> None:
        super().__init__()
        self.rings = threading.Semaphore(0)
        self.can_tell = True
        self.rings_for_ever = False
        self.waits: list[float] = []
        self.reads: list[float] = []

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        self.reads.append(time.monotonic())
        return super().all_stored_events_since(event_id, limit)

    @override
    def wait(self, seconds: float) -> Waited:
        self.waits.append(seconds)
        if not self.can_tell:
            return Waited.CANNOT_TELL
        rung = self.rings_for_ever or self.rings.acquire(timeout=seconds)
        return Waited.MAY_BE_NEW if rung else Waited.TIME_IS_UP


@pytest.fixture
def store(parts: Parts) -> TellingStore:
    parts.store = TellingStore()
    return parts.store


@pytest.fixture
def served(parts: Parts) -> list[float]:
    """Give the seconds that the producer gets for its duties, time after time."""
    return parts.producer.waits


def test_an_idle_exchange_is_woken_long_before_it_would_look_by_itself(
    parts: Parts, store: TellingStore
) -> None:
    with running(parts.route(), poll_seconds=FOR_EVER):
        for count in range(1, 6):
            eventually(lambda: store.waits)
            parts.append()
            store.rings.release()
            eventually(lambda count=count: parts.position() == count)  # type: ignore[misc]
            store.waits.clear()


def test_an_exchange_that_nobody_wakes_looks_by_itself(
    parts: Parts, store: TellingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_worker, "LOOK_ANYWAY", 0.05)
    with running(parts.route()):
        eventually(lambda: store.waits)
        parts.append()
        eventually(lambda: parts.position() == 1)
    assert max(store.waits) <= 0.05


def test_a_producer_that_must_be_served_often_waits_for_no_event_for_long(
    parts: Parts, store: TellingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OpenExchange, "longest_silence", 0.03)
    with running(parts.route()):
        eventually(lambda: len(store.waits) > 3)
    assert max(store.waits) == 0.03


def test_a_store_that_can_no_longer_tell_is_looked_at_in_turns(
    parts: Parts, store: TellingStore
) -> None:
    with running(parts.route(), poll_seconds=0.1):
        eventually(lambda: store.waits)
        store.can_tell = False
        begun = len(store.reads)
        eventually(lambda: len(store.reads) > begun + 12)
        reads = store.reads[begun:]
        assert reads[-1] - reads[0] > 0.4, "no busier than a store that never could"
        parts.append()
        eventually(lambda: parts.position() == 1)


def test_wake_ups_that_bring_nothing_do_not_make_it_busy(parts: Parts, store: TellingStore) -> None:
    """As while another transaction holds what would come next, and many others commit."""
    store.rings_for_ever = True
    with running(parts.route(), poll_seconds=0.1):
        eventually(lambda: len(store.reads) > 12)
    assert store.reads[12] - store.reads[0] > 0.4


def test_after_a_quiet_time_it_listens_at_once_again(
    parts: Parts, store: TellingStore, served: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_worker, "LONGEST_WAIT", 0.2)
    with running(parts.route(), poll_seconds=0.1):
        store.rings_for_ever = True
        eventually(lambda: max(served, default=0) > 0.09)  # the pauses are at their longest
        store.rings_for_ever = False
        count = len(store.waits)
        eventually(lambda: len(store.waits) > count + 3)
        assert served[-1] == 0.0


def test_the_producer_does_its_duties_while_the_store_is_listened_to(
    parts: Parts, store: TellingStore, served: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_worker, "LONGEST_WAIT", 0.05)
    with running(parts.route(), poll_seconds=FOR_EVER):
        eventually(lambda: len(served) > 5)
        parts.broker.cut()
        eventually(lambda: parts.told.of("failed"))
    assert max(store.waits) <= 0.05


def test_a_shutdown_is_noticed_while_the_store_is_listened_to(
    parts: Parts, store: TellingStore
) -> None:
    with running(parts.route(), poll_seconds=FOR_EVER):
        eventually(lambda: store.waits)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert parts.owner(X) is None
