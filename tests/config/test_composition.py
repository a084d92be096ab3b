"""What a configuration describes is made, works together, and leaves nothing open."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.config.conftest import MEMORY
from tidings import ConfigurationError, InMemoryEventStore, NewEvent, StoredEvent, Tidings
from tidings.builtin.json_serializer import JsonSerializer
from tidings.relay.shared_store import SharedStore
from tidings.relay.stored_notifications import StoredNotifications

if TYPE_CHECKING:
    from tests.config.conftest import Load


def open_files(path: Path) -> list[str]:
    """Return what this process has open below ``path``."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except FileNotFoundError:  # the one that lists them
            continue
    return [name for name in found if name.startswith(str(path))]


def append(tidings: Tidings, count: int) -> None:
    store = tidings.event_store()
    store.create()
    with store.transaction() as transaction:
        store.append(transaction, *(NewEvent("OrderPlaced", {"n": n}) for n in range(count)))
    store.close()


@pytest.mark.skipif(not Path("/proc").exists(), reason="open files are listed in /proc")
def test_events_go_from_sqlite_to_a_file_and_nothing_is_left_open(
    load: Load, tmp_path: Path
) -> None:
    text = (
        f'[event_store]\nurl = "sqlite:///{tmp_path}/events.db"\n'
        '[exchanges.a]\nproducer = "archive"\n[exchanges.b]\nproducer = "archive"\n'
        f'[producers.archive]\nbackend = "jsonlines"\npath = "{tmp_path}/{{exchange}}.jsonl"\n'
    )
    with load(text) as tidings:
        append(tidings, 5)
        assert tidings.notification_service("a").publish_notifications("a") == 5
        tidings.worker(["b", "b"], limit=3).run()
        assert tidings.tracker.most_recent_published_message_id("b") == 3

    assert open_files(tmp_path) == []
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["body"]["n"] for line in lines] == [0, 1, 2, 3, 4]
    assert len((tmp_path / "b.jsonl").read_text().splitlines()) == 3


def test_how_often_to_look_reaches_every_exchange(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr("tidings.bootstrap.Worker", lambda _routes, **how: given.append(how))
    exchange = '[exchanges.a]\nproducer = "memory"\n'
    load(f"{MEMORY}{exchange}[relay]\npoll_seconds = 0.7\n").worker(["a"])
    assert given == [{"poll_seconds": 0.7, "limit": None}]


def test_closing_what_was_never_used_opens_nothing(load: Load, tmp_path: Path) -> None:
    with load(f'[event_store]\nurl = "sqlite:///{tmp_path}/events.db"'):
        pass

    assert not (tmp_path / "events.db").exists()


def test_positions_can_be_kept_elsewhere(load: Load, tmp_path: Path) -> None:
    text = (
        f'{MEMORY}[tracker]\nbackend = "sqlalchemy"\nurl = "sqlite:///{tmp_path}/positions.db"\n'
        '[exchanges.a]\nproducer = "jsonlines"\n[producers.jsonlines]\npath = "/dev/null"'
    )
    with load(text) as tidings:
        tidings.tracker.create()
        tidings.tracker.replay("a", 0)
        assert [row.exchange_name for row in tidings.tracker.tracked_exchanges()] == ["a"]


def test_a_settings_of_an_exchange_reach_its_route(load: Load) -> None:
    tidings = load(
        MEMORY + '[exchanges.a]\nproducer = "memory"\nevents = ["order.*"]\nbatch_size = 7\n'
        "[relay]\nlease_seconds = 3"
    )
    route = tidings.route("a")

    assert (route.events, route.batch_size, route.lease_seconds) == (["order.*"], 7, 3)
    with tidings.event_store().transaction() as transaction:
        tidings.event_store().append(transaction, NewEvent("order.placed", {}))
    assert route.event_store.newest_event_id() == 1, "of memory there is one"


def test_exchanges_of_one_source_share_what_reads_it(load: Load) -> None:
    tidings = load(MEMORY + "".join(f'[exchanges.{name}]\nproducer = "memory"\n' for name in "ab"))
    stores = [tidings.route(name).event_store for name in "ab"]

    assert all(isinstance(store, SharedStore) for store in stores)
    assert stores[0] is not stores[1]
    assert len({id(vars(store)["_reader"]) for store in stores}) == 1


@pytest.mark.parametrize(
    ("names", "default"), [([], "my-bc-app"), (["a"], "a"), (["a", "b"], "my-bc-app")]
)
def test_the_only_exchange_is_the_default_one(load: Load, names: list[str], default: str) -> None:
    text = MEMORY + "".join(f'[exchanges.{name}]\nproducer = "memory"\n' for name in names)

    assert load(text).default_exchange() == default


def test_an_unknown_exchange_gets_a_hint(load: Load) -> None:
    tidings = load(MEMORY + '[exchanges.orders]\nproducer = "memory"')

    with pytest.raises(ConfigurationError, match=r"No exchange 'order' .* Did you mean 'orders'\?"):
        tidings.notification_service("order")
    with pytest.raises(ConfigurationError, match=r"No exchange 'a': none is configured"):
        load(MEMORY).worker(["a"])
    with pytest.raises(ConfigurationError, match=r"No exchange is configured"):
        load(MEMORY).worker([])


class Counting(InMemoryEventStore):
    """Counts how often its connections were given back."""

    closed = 0

    @override
    def close(self) -> None:
        self.closed += 1


def test_stored_notifications_are_what_the_relay_would_send() -> None:
    store = Counting()
    with store.transaction() as transaction:
        for number in range(1, 11):
            store.append(transaction, NewEvent("a" if number % 2 else "b", number))
    notifications = StoredNotifications(lambda: store, lambda _: JsonSerializer(), lambda _: ["a"])

    first = notifications.since("x", 2, 3)
    assert [each.event_id for each in first] == [3, 5], "one batch of three, of which two are meant"
    assert first[0].message.body == b"3"
    assert [each.event_id for each in notifications.since("x", 5, 3)] == [7]
    assert store.closed == 0, "there is more to come"
    assert [each.event_id for each in notifications.since("x", 8, 3)] == [9]
    assert store.closed == 1
    assert notifications.since("x", 10, 3) == []


def test_exchanges_that_name_one_serializer_share_it_and_its_work(load: Load) -> None:
    exchange = '[exchanges.{}]\nproducer = "memory"\nserializer = "{}"\n'
    text = MEMORY + "".join(
        exchange.format(name, serializer)
        for name, serializer in [("a", "json"), ("b", "json"), ("c", "own")]
    )
    tidings = load(text + '[serializers.own]\nbackend = "json"\n')
    event = StoredEvent(1, "OrderPlaced", "{}", datetime(2026, 1, 2, tzinfo=UTC))

    assert tidings.serializer("a") is tidings.serializer("b")
    assert tidings.serializer("a").serialize(event) is tidings.serializer("b").serialize(event)
    assert type(tidings.serializer("c")) is JsonSerializer


def test_two_exchanges_cannot_empty_one_outbox(load: Load, tmp_path: Path) -> None:
    text = (
        f'[event_store]\nurl = "sqlite:///{tmp_path}/events.db"\n'
        '[exchanges.a]\nproducer = "jsonlines"\nsource = "orders"\n'
        '[exchanges.b]\nproducer = "jsonlines"\nsource = "the-same"\n'
        '[exchanges.c]\nproducer = "jsonlines"\nsource = "other"\n'
        f'[sources.orders]\nbackend = "outbox"\nurl = "sqlite:///{tmp_path}/app.db"\n'
        f'[sources.the-same]\nbackend = "outbox"\nthen = "remove"\n'
        f'url = "sqlite:///{tmp_path}/./app.db"\n'
        f'[sources.other]\nbackend = "outbox"\ntable_name = "other"\n'
        f'url = "sqlite:///{tmp_path}/app.db"\n'
    )

    with pytest.raises(ConfigurationError) as refused:
        load(text)

    (sentence,) = refused.value.problems
    assert sentence.startswith("exchanges.b.source: the exchange 'a' empties the same table")
