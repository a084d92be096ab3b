"""Any event store that can prune is pruned alike: no more than what every exchange has had."""

from __future__ import annotations

from tests.relay.parts import Parts, X
from tidings import Pruned, prune


def test_what_every_exchange_has_had_goes(parts: Parts) -> None:
    parts.append(6)
    parts.service().publish_notifications(X)
    parts.append(2)

    dry = prune(parts.store, parts.tracker, [X], keep=1, dry_run=True)
    done = prune(parts.store, parts.tracker, [X], keep=1)

    assert dry == done == Pruned(6, X, (X,))
    assert parts.store.oldest_event_id() == 7


def test_what_is_in_quarantine_stays(parts: Parts) -> None:
    parts.append(6)
    parts.service().publish_notifications(X)
    event = parts.store.stored_event(3)
    assert event is not None
    lease = parts.tracker.acquire_lease(X, "a", 15)
    parts.tracker.quarantine(X, event, "too large", lease)

    assert prune(parts.store, parts.tracker, [X], keep=1).events == 2
    assert parts.store.oldest_event_id() == 3
