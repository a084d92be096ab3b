"""Events that cannot be sent, among those that are read out of the event store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.servers.process import free_port
from tests.zeromq.conftest import Relay
from tests.zeromq.events import EXCHANGE, Store
from tests.zeromq.readers import Reader
from tidings import NewEvent, Tidings
from tidings.builtin.json_serializer import JsonSerializer
from tidings.interfaces import Position
from tidings.plugins import Notification, ProducerContext
from tidings.testing import eventually
from tidings_zeromq.settings import ZeroMQSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tidings import NotificationMessage, StoredEvent
    from tidings.plugins import MessageProducer

LONE = {"note": "\ud800"}

CONFIGURATION = """
[event_store]
url = "sqlite:///{folder}/events.db"

[exchanges.my-bc-app]
producer = "zeromq"
on_poison = "{on_poison}"

[producers.zeromq]
bind = "{address}"
"""


class PoisonedStore(Store):
    """An event store of which some events have headers that are no text."""

    def __init__(self, ids: Iterable[int], poison: Iterable[int], *, passes: bool) -> None:
        super().__init__(ids)
        self._poison = set(poison)
        self._passes = passes

    @override
    def since(self, exchange_name: str, event_id: int, limit: int) -> Sequence[Notification]:
        return [self._spoilt(each) for each in super().since(exchange_name, event_id, limit)]

    def _spoilt(self, good: Notification) -> Notification:
        if good.event_id not in self._poison:
            return good
        return good._replace(message=good.message._replace(headers=LONE))

    @property
    @override
    def context(self) -> ProducerContext:
        return ProducerContext(self.since, lambda exchange_name: self._passes)


@pytest.fixture
def open_relay(address: str) -> Iterator[Callable[[Store], Relay]]:
    """Give a function that opens a relay; all that its store holds is published."""
    relays: list[Relay] = []

    def open_relay(store: Store) -> Relay:
        relay = Relay(ZeroMQSettings(bind=address), store, EXCHANGE)
        relays.append(relay)
        relay.open(position=store.ids[-1])
        return relay

    yield open_relay
    for relay in relays:
        relay.close()


@pytest.mark.parametrize(
    "poison", [[1], [3], [200], [3, 4, 5, 90], range(1, 200), range(50, 190)], ids=str
)
def test_an_event_in_quarantine_is_left_out_and_holds_nobody_up(
    open_relay: Callable[[Store], Relay], poison: Iterable[int]
) -> None:
    store = PoisonedStore(range(1, 201), poison, passes=True)
    relay = open_relay(store)
    wanted = [each for each in range(1, 201) if each not in set(poison)]
    with Reader(relay.address, "late", last_id=0) as late:
        relay.wait_until(lambda: len(late.messages) >= len(wanted), "the rest")
        relay.store.ids.append(201)
        relay.send(201)
        relay.wait_until(lambda: len(late.messages) > len(wanted), "what is newer")

    assert late.ids == [*wanted, 201]


def test_an_event_that_stops_the_exchange_is_not_passed_and_is_named(
    open_relay: Callable[[Store], Relay], caplog: pytest.LogCaptureFixture
) -> None:
    relay = open_relay(PoisonedStore(range(1, 11), [3], passes=False))
    with Reader(relay.address, "late", last_id=0) as late:
        relay.wait_until(lambda: "event 3 cannot be sent over ZeroMQ" in caplog.text, "the warning")
        relay.store.ids.append(11)
        relay.send(11)
        relay.producer.wait(EXCHANGE, 0.3)

    assert late.ids == [1, 2][: len(late.ids)]


@contextmanager
def closing(producer: MessageProducer, exchange_name: str) -> Iterator[None]:
    try:
        yield
    finally:
        producer.close(exchange_name)


def test_what_the_configuration_says_of_poison_is_what_late_subscribers_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serialize = JsonSerializer.serialize

    def oddly(serializer: JsonSerializer, event: StoredEvent) -> NotificationMessage:
        message = serialize(serializer, event)
        return message._replace(headers=LONE) if event.event_id == 5 else message

    monkeypatch.setattr(JsonSerializer, "serialize", oddly)
    address = f"tcp://127.0.0.1:{free_port()}"
    path = tmp_path / "tidings.toml"
    path.write_text(CONFIGURATION.format(folder=tmp_path, on_poison="quarantine", address=address))
    with Tidings.from_file(path, environ={}) as tidings:
        store = tidings.event_store()
        store.create()
        tidings.tracker.create()
        with store.transaction() as transaction:
            store.append(transaction, *(NewEvent("OrderPlaced", {"n": n}) for n in range(10)))
        store.close()
        with Reader(address, last_id=0) as app:
            assert tidings.notification_service(EXCHANGE).publish_notifications(EXCHANGE) == 9
        producer = tidings.producer(EXCHANGE)
        producer.open(EXCHANGE, Position(10))

        def all_have_come() -> bool:
            producer.wait(EXCHANGE, 0.02)
            return len(late.messages) >= 9

        with closing(producer, EXCHANGE), Reader(address, "late", last_id=0) as late:
            eventually(all_have_come, "all but the poison", 60)

    assert app.ids == late.ids == [1, 2, 3, 4, 6, 7, 8, 9, 10]
