"""The relay's own marks in an outbox are not taken for those of somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.parts import Parts, X
from tests.sql.test_outbox_source import Draining, draining
from tidings.errors import UnsafeStoreError
from tidings.relay import position_check
from tidings.relay.owner import Owner
from tidings.relay.run import running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["mark", "remove"])
def outbox(request: pytest.FixtureRequest, database_url: str) -> Iterator[Draining]:
    yield from draining(database_url, request.param)


def test_what_was_marked_while_the_broker_was_awaited_stops_no_relay(
    outbox: Draining, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts()
    monkeypatch.setattr(position_check, "LOOK_AGAIN", 0.0)
    outbox.dispatch("A", "B")
    with running(parts.route(event_store=outbox.store, tracker=outbox.tracker), Owner()) as run:
        parts.broker.freeze()
        run.step()
        parts.broker.thaw()

        while run.in_flight:
            run.settle()

        outbox.dispatch("C")
        assert run.step() == 1
    assert parts.ids() == [1, 2, 3]


def test_what_another_relay_of_the_exchange_has_marked_keeps_none_from_going_on_behind_it(
    outbox: Draining, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts()
    route = parts.route(event_store=outbox.store, tracker=outbox.tracker)
    monkeypatch.setattr(position_check, "LOOK_AGAIN", 0.0)
    outbox.dispatch("A")
    with running(route, Owner()) as run:
        run.step()
        run.flush()
        run.step()
        for other in draining(database_url, "mark"):
            lease = other.tracker.acquire_lease(X, "b", 15, in_place_of=run.lease.epoch)
            outbox.dispatch("B")
            (event,) = other.store.all_stored_events_since(1, 10)
            other.tracker.track_most_recent_published_message(X, event, lease)
            other.tracker.release_lease(lease)
        with pytest.raises(UnsafeStoreError):  # before the renewal says that the lease is lost
            run.idle(0)

    with running(route, Owner()) as run:
        outbox.dispatch("C")
        assert run.step() == 1
    assert parts.ids() == [1, 3]
