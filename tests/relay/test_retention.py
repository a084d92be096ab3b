"""Any event store that can prune is pruned alike: no more than what every exchange has had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.relay.parts import Parts, X
from tidings import Pruned, prune

if TYPE_CHECKING:
    from collections.abc import Callable


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


def begin_another(parts: Parts) -> None:
    parts.tracker.release_lease(parts.tracker.acquire_lease("new", "a", 15))


@pytest.mark.parametrize(
    ("meanwhile", "name"), [(lambda parts: parts.tracker.replay(X, 2), X), (begin_another, "new")]
)
def test_who_is_set_back_while_events_are_deleted_is_named(
    parts: Parts,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[Parts], None],
    name: str,
) -> None:
    parts.append(6)
    parts.service().publish_notifications(X)
    delete = parts.store.prune

    def just_after(*which: Any, **how: Any) -> int:
        meanwhile(parts)
        return delete(*which, **how)

    monkeypatch.setattr(parts.store, "prune", just_after)

    done = prune(parts.store, parts.tracker, [X], keep=1)

    assert done.events == 5
    assert done.set_back == (name,)
