"""What is asked of the database with an exchange open may take long: the broker hears of us."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.relay.parts import REMEMBERS, Parts, Producer, X, at
from tests.relay.working import running
from tidings import (
    BrokerMismatchError,
    InMemoryEventStore,
    InMemoryTracker,
    UndeliverableEventError,
)
from tidings.plugins import Capability, Pause
from tidings.relay.kept_connection import KeptConnection
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.plugins import ExchangeContext, OpenExchange

pytestmark = pytest.mark.usefixtures("impatient")

WAITS_FOR_EVENTS = "wait"
"""It comes back before the connection must be looked after."""
LETS_GO = "close"


class Watched:
    """Notes what each thread asks of the database, with an exchange open, while nobody attends."""

    def __init__(self, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
        self.unattended: list[str] = []
        self._open = threading.local()
        begin, end = KeptConnection.begin, KeptConnection.end

        def begins(kept: KeptConnection) -> None:
            begin(kept)
            self._open.attended = True

        def ends(kept: KeptConnection) -> Exception | None:
            self._open.attended = False
            return end(kept)

        monkeypatch.setattr(KeptConnection, "begin", begins)
        monkeypatch.setattr(KeptConnection, "end", ends)
        self._watch_opening(parts.producer, monkeypatch)
        self._watch(parts.store, InMemoryEventStore, monkeypatch)
        self._watch(parts.tracker, InMemoryTracker, monkeypatch)

    def _watch_opening(self, producer: Producer, monkeypatch: pytest.MonkeyPatch) -> None:
        open_exchange, close = producer.open_exchange, producer.close

        def opens(context: ExchangeContext) -> OpenExchange:
            exchange = open_exchange(context)
            self._open.exchange = True
            return exchange

        def closes(exchange_name: str) -> None:
            self._open.exchange = False
            close(exchange_name)

        monkeypatch.setattr(producer, "open_exchange", opens)
        monkeypatch.setattr(producer, "close", closes)

    def _watch(self, asked: object, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in dir(kind):
            method = getattr(asked, name)
            if not name.startswith("_") and callable(method):
                monkeypatch.setattr(asked, name, self._noting(name, method))

    def _noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*arguments: Any, **options: Any) -> Any:
            is_open = getattr(self._open, "exchange", False)
            if is_open and not getattr(self._open, "attended", False):
                self.unattended.append(name)
            return method(*arguments, **options)

        return noting if name not in {WAITS_FOR_EVENTS, LETS_GO} else method


def refuse(event_id: int) -> Callable[[int], None]:
    def refusing(this: int) -> None:
        if this == event_id:
            raise UndeliverableEventError("too large", exchange_name=X, event_id=this)

    return refusing


def test_while_the_store_is_compared_with_what_the_broker_remembers(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.append(4)
    parts.service(capabilities=REMEMBERS).publish_notifications(X)
    parts.append(1)
    parts.tracker = InMemoryTracker()
    watched = Watched(parts, monkeypatch)

    assert parts.service(capabilities=REMEMBERS).publish_notifications(X) == 1
    assert watched.unattended == []


def test_while_it_is_noted_that_the_broker_has_another_stores_events(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.append(4)
    parts.service(capabilities=REMEMBERS).publish_notifications(X)
    parts.tracker, parts.store = InMemoryTracker(), InMemoryEventStore()
    watched = Watched(parts, monkeypatch)

    with pytest.raises(BrokerMismatchError):
        parts.service(capabilities=REMEMBERS).publish_notifications(X)
    (row,) = parts.tracker.tracked_exchanges()
    assert row.stop is not None
    assert watched.unattended == []


@pytest.mark.parametrize("passes_poison", [True, False])
def test_while_an_event_is_refused(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, *, passes_poison: bool
) -> None:
    parts.append(4)
    parts.producer.before_send = refuse(3)
    watched = Watched(parts, monkeypatch)

    with suppress(UndeliverableEventError):
        parts.service(passes_poison=passes_poison).publish_notifications(X)
    assert watched.unattended == []


def test_while_an_exchange_works_again_after_a_failure(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.append(3)
    parts.producer.before_send = at(2, lambda: 1 / 0)
    watched = Watched(parts, monkeypatch)

    with running(parts.route()):
        eventually(lambda: parts.told.of("recovered"))
        eventually(lambda: parts.ids() == [1, 2, 3])
        eventually(lambda: parts.told.of("idle"))
    assert watched.unattended == []


def test_while_events_in_quarantine_are_sent_again_and_the_exchange_is_paused(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.relay.asked.LOOK_FOR_A_PAUSE", 0.0)
    monkeypatch.setattr("tidings.relay.asked.LOOK_FOR_RETRIES", 0.0)
    parts.append(4)
    parts.producer.before_send = refuse(3)
    watched = Watched(parts, monkeypatch)

    can_retry = frozenset({Capability.WAIT_SETTLES, Capability.OUT_OF_ORDER})
    with running(parts.route(passes_poison=True, capabilities=can_retry)):
        eventually(lambda: parts.position() == 4)
        parts.producer.before_send = lambda _event_id: None
        parts.tracker.ask_to_retry(X, 3)
        eventually(lambda: parts.ids() == [1, 2, 4, 3])
        parts.tracker.pause(X, Pause("somebody", "a reason", datetime.now(UTC)))
        eventually(lambda: parts.told.of("paused"))
    assert watched.unattended == []
