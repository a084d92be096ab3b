"""An event store that answers slowly, while a subscriber catches up: nobody is cut off for it."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

from typing_extensions import override

from tests.sql.waiting import Beside
from tests.zeromq.events import Store
from tests.zeromq.readers import Reader
from tidings_zeromq import patience

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from tests.zeromq.conftest import MakeRelay
    from tidings.plugins import Notification


class SlowStore(Store):
    """Takes so many seconds for each read, or until it may go on."""

    def __init__(self, ids: Sequence[int], seconds: float | None) -> None:
        super().__init__(ids)
        self.seconds = seconds
        self.is_read = threading.Event()
        self.goes_on = threading.Event()

    @override
    def since(self, exchange_name: str, event_id: int, limit: int) -> Sequence[Notification]:
        self.is_read.set()
        self.goes_on.wait(self.seconds)
        return super().since(exchange_name, event_id, limit)


def test_what_is_waited_for_the_store_is_not_held_against_a_required_subscriber(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay(SlowStore(range(1, 21), seconds=1.5), no_progress_timeout=1.0)
    relay.open(position=20)
    with Reader(relay.address, last_id=20) as app, Reader(relay.address, "late", last_id=0) as late:
        ids = itertools.count(21)

        def one_more() -> bool:
            relay.send(next(ids))
            return len(late.ids) >= 20

        relay.wait_until(one_more, "the backlog")
        relay.flush()

    newest = next(ids)
    assert app.ids == [*range(21, newest)]
    assert relay.accepted_id == newest - 1


def test_a_subscriber_gets_on_though_each_read_takes_longer_than_its_patience(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "SILENCE", 0.02)
    relay = make_relay(SlowStore(range(1, 11), seconds=0.5))
    relay.open(position=10)
    with Reader(relay.address, "late", last_id=0) as late:
        relay.wait_until(lambda: len(late.ids) >= 10, "the backlog", 20)

    assert late.ids == [*range(1, 11)]


def test_other_exchanges_at_the_same_address_go_on_meanwhile(make_relay: MakeRelay) -> None:
    slow = SlowStore(range(1, 11), seconds=None)
    waiting, other = make_relay(slow, exchange_name="waiting"), make_relay(exchange_name="other")
    waiting.open(position=10)
    other.open()
    with (
        Reader(waiting.address, "late", exchange_name="waiting", last_id=0) as late,
        Reader(other.address, exchange_name="other"),
    ):
        reading = Beside(lambda: waiting.wait_until(lambda: len(late.ids) >= 10, "the backlog"))
        try:
            assert slow.is_read.wait(20)
            other.send(1)
            other.flush(20)
        finally:
            slow.goes_on.set()
            reading.result()

    assert other.accepted_id == 1
    assert late.ids == [*range(1, 11)]
