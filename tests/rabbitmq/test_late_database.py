"""A database that answers late, while more than a window is in flight."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from typing_extensions import override

from tests.rabbitmq.client import Client
from tidings import InMemoryEventStore, InMemoryTracker, NewEvent
from tidings.builtin.json_serializer import JsonSerializer
from tidings.relay.notification_service import NotificationService
from tidings.relay.route import Route
from tidings.testing import eventually
from tidings_rabbitmq.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from tests.rabbitmq.conftest import MakeProducer
    from tidings import StoredEvent
    from tidings.testing.proxy import TcpProxy

COUNT = 200


class LateStore(InMemoryEventStore):
    """Answers the second read only when the connection was looked after meanwhile."""

    looked_after = 0

    @override
    def all_stored_events_since(self, event_id: int, limit: int) -> Sequence[StoredEvent]:
        if event_id:
            before = self.looked_after
            eventually(lambda: self.looked_after > before + 2, seconds=20)
        return super().all_stored_events_since(event_id, limit)


def test_the_relay_goes_on_when_the_database_answers(
    make_producer: MakeProducer,
    proxy: TcpProxy,
    proxied: str,
    exchange: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, tracker = LateStore(), InMemoryTracker()
    with store.transaction() as transaction:
        store.append(transaction, *(NewEvent("A", {}) for _ in range(COUNT)))
    producer = make_producer(url=proxied, window=10)
    route = Route(exchange, store, tracker, producer, JsonSerializer(), batch_size=COUNT // 2)
    wait = Pipeline.wait

    def look_after(pipeline: Pipeline, seconds: float) -> None:
        wait(pipeline, seconds)
        store.looked_after += 1

    monkeypatch.setattr(Pipeline, "wait", look_after)
    proxy.delay(0.1)  # so that confirms are owed whenever a batch is read
    publishing = threading.Thread(
        target=NotificationService(route).publish_notifications, args=[exchange], daemon=True
    )
    publishing.start()
    publishing.join(120)

    assert not publishing.is_alive(), "the relay hangs"
    with Client(proxied) as client:
        assert client.ids(exchange) == list(range(1, COUNT + 1))
    assert tracker.most_recent_published_message_id(exchange) == COUNT
