"""Health, metrics and status have one word for what keeps an exchange from sending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.prometheus.scraped import scrape
from tests.relay.parts import REMEMBERS, Parts, X, relay_threads
from tests.relay.working import running
from tidings import InMemoryEventStore, InMemoryTracker, Observers, UndeliverableEventError
from tidings.operations.state import BROKEN, state_of
from tidings.testing import eventually
from tidings_prometheus.observer import PrometheusObserver
from tidings_prometheus.settings import PrometheusSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    monkeypatch.setattr("tidings.relay.backoff.LONGEST_TRANSIENT", 0.05)
    monkeypatch.setattr("tidings.relay.backoff.LONGEST_LASTING", 0.05)
    yield Parts()
    eventually(lambda: not relay_threads())


def replay_too_far(parts: Parts) -> None:
    parts.append()
    parts.tracker.replay(X, 5)


def poison(parts: Parts) -> None:
    def refuse(event_id: int) -> None:
        raise UndeliverableEventError("It is too large.", exchange_name=X, event_id=event_id)

    parts.append()
    parts.producer.before_send = refuse


def exchange_the_store(parts: Parts) -> None:
    parts.append(3)
    parts.service().publish_notifications(X)
    parts.store = InMemoryEventStore()
    parts.append()


def exchange_store_and_positions(parts: Parts) -> None:
    exchange_the_store(parts)
    parts.tracker = InMemoryTracker()
    parts.producer.capabilities = REMEMBERS


SPOILS: Final[Mapping[str, tuple[Callable[[Parts], None], str]]] = {
    "a broker that is down": (lambda parts: parts.broker.refuse(), "failing"),
    "a replay beyond the newest event": (replay_too_far, "waiting"),
    "poison": (poison, "stopped"),
    "another store's events at the broker": (exchange_store_and_positions, "stopped"),
    "another store's position": (exchange_the_store, "mismatch"),
}


@pytest.mark.parametrize("what", SPOILS)
def test_what_keeps_an_exchange_from_sending_has_one_word_everywhere(
    parts: Parts, what: str
) -> None:
    spoil, word = SPOILS[what]
    observer = PrometheusObserver(PrometheusSettings())
    spoil(parts)

    def words() -> set[str | None]:
        (health,) = worker.vitals()
        rows = parts.tracker.tracked_exchanges()
        status = state_of(parts.store, rows[0] if rows else None, None)
        return {health.state, scrape(observer).state(), status.word}

    with running(parts.route(observers=Observers([observer]))) as worker:
        eventually(lambda: words() == {word}, f"{word} from all three")
        (health,) = worker.vitals()

    assert health.is_ready == (word not in BROKEN)
