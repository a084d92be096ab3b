"""What the relay does, as a scrape shows it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.openmetrics import parser

from tests.prometheus.scraped import X, scrape
from tests.relay.parts import Parts, at, relay_threads
from tests.relay.working import running
from tidings import (
    Hold,
    NewEvent,
    Observers,
    StoredEvent,
    UndeliverableEventError,
)
from tidings.plugins import AcceptedBatch, ObservedRelay, Standing
from tidings.testing import eventually
from tidings_prometheus import exchange as exchange_module
from tidings_prometheus.exchange import STATES
from tidings_prometheus.observer import PrometheusObserver
from tidings_prometheus.settings import PrometheusSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tidings import Route

NOWHERE = Standing(0, 0, 0, 0.0, 0)


def nowhere(names: Iterable[str]) -> Iterator[tuple[str, Standing]]:
    return ((name, NOWHERE) for name in names)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    monkeypatch.setattr("tidings.relay.exchange_worker.STANDBY_DELAY", 0.05)
    monkeypatch.setattr("tidings.relay.backoff.LONGEST_TRANSIENT", 0.05)
    monkeypatch.setattr("tidings.relay.backoff.LONGEST_LASTING", 0.05)
    monkeypatch.setattr("tidings.relay.holding.WORTH_TELLING", 0.0)
    monkeypatch.setattr("tidings.relay.elsewhere.WORKS_AFTER", 0.0)
    yield Parts()
    eventually(lambda: not relay_threads())


@pytest.fixture
def observer() -> PrometheusObserver:
    return PrometheusObserver(PrometheusSettings())


def watched(parts: Parts, observer: PrometheusObserver, **options: Any) -> Route:
    return parts.route(observers=Observers([observer]), **options)


def batch(count: int, since_occurred: float, since_sent: float) -> AcceptedBatch:
    return AcceptedBatch(count, count, since_occurred, since_sent, in_flight=0)


def test_published_events_are_counted_with_their_backend(observer: PrometheusObserver) -> None:
    observer.attached(ObservedRelay({X: "rabbitmq"}, nowhere))
    observer.published(X, 3, 3)
    observer.published(X, 4, 7)

    found = scrape(observer)

    assert found.value("tidings_events_published_total", producer="rabbitmq") == 7


def test_events_that_reached_nobody_are_counted(observer: PrometheusObserver) -> None:
    observer.unroutable(X, 3)
    observer.unroutable(X, 1)

    assert scrape(observer).value("tidings_events_unroutable_total") == 4


def test_each_event_of_a_batch_is_in_the_histograms(observer: PrometheusObserver) -> None:
    observer.accepted(X, batch(90, since_occurred=0.2, since_sent=0.002))
    observer.accepted(X, batch(10, since_occurred=7200.0, since_sent=3.0))

    found = scrape(observer)

    commit, send = "tidings_commit_to_accept_seconds", "tidings_send_to_accept_seconds"
    assert found.value(f"{commit}_count") == found.value(f"{send}_count") == 100
    assert found.value(f"{commit}_sum") == pytest.approx(90 * 0.2 + 10 * 7200)
    assert found.value(f"{commit}_bucket", le="0.1") == 0
    assert found.value(f"{commit}_bucket", le="0.25") == 90
    assert found.value(f"{commit}_bucket", le="1800.0") == 90
    assert found.value(f"{commit}_bucket", le="+Inf") == 100
    assert found.value(f"{send}_bucket", le="0.0025") == 90
    assert found.value(f"{send}_bucket", le="5.0") == 100


def test_a_value_on_a_bound_is_within_it(observer: PrometheusObserver) -> None:
    observer.accepted(X, batch(1, since_occurred=0.25, since_sent=0.25))

    assert scrape(observer).value("tidings_commit_to_accept_seconds_bucket", le="0.25") == 1


def test_what_a_worker_does_is_one_state_at_a_time(
    parts: Parts, observer: PrometheusObserver
) -> None:
    def state() -> str | None:
        return scrape(observer).state()

    parts.broker.refuse()
    lease = parts.tracker.acquire_lease(X, "another", 60)
    with running(watched(parts, observer)):
        eventually(lambda: state() == "standing by")
        parts.tracker.release_lease(lease)
        eventually(lambda: state() == "failing")
        parts.broker.admit()
        eventually(lambda: state() == "idle")
        found = scrape(observer)
        with parts.store.transaction() as slow:
            parts.store.append(slow, NewEvent("Slow", {}))
            parts.append()
            eventually(lambda: state() == "held")
        eventually(lambda: state() == "idle")

    assert found.value("tidings_lease_held") == found.value("tidings_broker_connected") == 1
    shown = found.labels("tidings_exchange_state")
    assert {labels["state"] for labels, _ in shown} == set(STATES)
    assert state() is None, "a relay that has ended has no state"


def test_an_exchange_whose_event_cannot_be_sent_is_stopped_and_works_when_it_can(
    parts: Parts, observer: PrometheusObserver
) -> None:
    parts.append(2)
    poison = [UndeliverableEventError("Event 1 is poison.", exchange_name=X, event_id=1)]

    def refuse(event_id: int) -> None:
        if event_id == 1 and poison:
            raise poison[0]

    parts.producer.before_send = refuse
    with running(watched(parts, observer)):
        eventually(lambda: scrape(observer).state() == "stopped")
        failures = failures_of(observer)
        poison.clear()
        eventually(lambda: scrape(observer).state() == "idle")

    assert failures.keys() == {"UndeliverableEventError"}


def failures_of(observer: PrometheusObserver) -> dict[str, float]:
    shown = scrape(observer).labels("tidings_publish_failures_total")
    return {labels["error_type"]: value for labels, value in shown}


def test_between_two_tries_an_exchange_does_not_look_as_if_it_worked(
    parts: Parts, observer: PrometheusObserver
) -> None:
    parts.broker.refuse()
    seen: list[str | None] = []
    opened = parts.producer.open_exchange

    def open_exchange(context: Any) -> Any:
        seen.append(scrape(observer).state())
        return opened(context)

    parts.producer.open_exchange = open_exchange  # type: ignore[method-assign]
    with running(watched(parts, observer)):
        eventually(lambda: len(seen) >= 4)
        parts.broker.admit()

    assert set(seen[1:4]) == {"failing"}


def test_failures_are_counted_by_their_kind(parts: Parts, observer: PrometheusObserver) -> None:
    parts.broker.refuse()
    with running(watched(parts, observer)):
        eventually(lambda: failures_of(observer).get("BrokerUnavailableError", 0) >= 3)
        found = scrape(observer)
        assert found.value("tidings_broker_connected") == 0
        parts.broker.admit()


def test_a_lease_that_was_lost_is_counted_and_one_given_back_is_not(
    parts: Parts, observer: PrometheusObserver
) -> None:
    with running(watched(parts, observer, lease_seconds=6)):
        eventually(lambda: scrape(observer).state() == "idle")
        first = scrape(observer).value("tidings_lease_epoch")
        parts.tracker.replay(X, 0)
        eventually(lambda: scrape(observer).value("tidings_lease_losses_total") == 1)
        eventually(lambda: scrape(observer).value("tidings_lease_held") == 1)
        assert (scrape(observer).value("tidings_lease_epoch") or 0) > (first or 0)

    assert scrape(observer).value("tidings_lease_losses_total") == 1


def test_what_is_in_flight_is_shown_and_nothing_is_after_a_failure(
    parts: Parts, observer: PrometheusObserver
) -> None:
    parts.append(5)
    seen: list[float | None] = []

    def cut() -> None:
        seen.append(in_flight(observer))
        parts.broker.cut()

    parts.producer.before_send = at(5, cut)
    with running(watched(parts, observer)):
        eventually(lambda: parts.position() == 5)
        eventually(lambda: in_flight(observer) == 0)

    assert seen == [5]


def test_of_what_is_in_flight_the_relay_says_what_is_left(observer: PrometheusObserver) -> None:
    events = [StoredEvent(each, "OrderPlaced", "{}", datetime.now(UTC)) for each in (1, 2, 3)]
    observer.started(X)
    observer.sent(X, events)
    observer.accepted(X, AcceptedBatch(2, 2, 0.1, 0.1, in_flight=1))

    assert in_flight(observer) == 1


def in_flight(observer: PrometheusObserver) -> float | None:
    return scrape(observer).value("tidings_in_flight_events")


def test_a_hold_grows_by_itself_and_is_zero_when_it_is_over(
    observer: PrometheusObserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(exchange_module, "time", clock)
    observer.started(X)
    observer.held(X, Hold(7, "process 1", 2.0))
    clock.now += 30
    held = scrape(observer)
    observer.no_longer_held(X, 7, 32.0)
    over = scrape(observer)

    assert held.value("tidings_hold_seconds") == 32
    assert held.value("tidings_hold_missing_id") == 7
    assert over.value("tidings_hold_seconds") == over.value("tidings_hold_missing_id") == 0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_the_time_of_each_stage_adds_up(observer: PrometheusObserver) -> None:
    observer.spent(X, {"read": 0.25, "send": 0.5})
    observer.spent(X, {"read": 0.5})

    found = scrape(observer)

    assert found.value("tidings_stage_seconds_total", stage="read") == 0.75
    assert found.value("tidings_stage_seconds_total", stage="send") == 0.5


def test_how_far_an_exchange_is_behind_is_asked_at_each_scrape(
    observer: PrometheusObserver,
) -> None:
    now = [Standing(5, 9, 4, 12.5, 2)]
    observer.attached(ObservedRelay({X: "memory"}, lambda _names: iter([(X, now[0])])))
    observer.started(X)

    behind = scrape(observer)
    now[0] = Standing(9, 9, 0, 0.0, 0)
    idle = scrape(observer)

    assert behind.value("tidings_position") == 5
    assert behind.value("tidings_newest_event_id") == 9
    assert behind.value("tidings_events_behind") == 4
    assert behind.value("tidings_seconds_behind") == 12.5
    assert behind.value("tidings_quarantined_events") == 2
    assert behind.value("tidings_event_store_readable") == 1
    assert idle.value("tidings_events_behind") == idle.value("tidings_seconds_behind") == 0


def test_a_store_that_cannot_be_read_leaves_its_metrics_out_and_says_so(
    observer: PrometheusObserver,
) -> None:
    def look(names: Iterable[str]) -> Iterator[tuple[str, Standing]]:
        return ((name, Standing(1, 1, 0, 0.0, 0)) for name in names if name != X)

    observer.attached(ObservedRelay({X: "memory", "y": "memory"}, look))
    for name in (X, "y"):
        observer.started(name)

    found = scrape(observer)

    assert found.value("tidings_event_store_readable") == 0
    assert found.value("tidings_seconds_behind") is None
    assert found.value("tidings_event_store_readable", exchange="y") == 1
    assert found.value("tidings_seconds_behind", exchange="y") == 0


def test_a_database_that_hangs_holds_up_no_scrape_and_nobody_asks_it_twice() -> None:
    observer = PrometheusObserver(PrometheusSettings(look_timeout=0.05))
    hanging, asked = threading.Event(), []

    def look(names: Iterable[str]) -> Iterator[tuple[str, Standing]]:
        for name in names:
            asked.append(name)
            hanging.wait(30)
            yield name, NOWHERE

    observer.attached(ObservedRelay({X: "memory"}, look))
    observer.started(X)

    found = [scrape(observer) for _ in range(3)]

    assert [each.value("tidings_event_store_readable") for each in found] == [0, 0, 0]
    assert [each.state() for each in found] == ["starting"] * 3
    assert asked == [X]
    hanging.set()
    eventually(lambda: scrape(observer).value("tidings_event_store_readable") == 1)


def test_several_scrapes_at_once_each_get_an_answer(observer: PrometheusObserver) -> None:
    observer.attached(ObservedRelay({X: "memory"}, nowhere))
    observer.started(X)
    readable: list[float | None] = []
    threads = [
        threading.Thread(
            target=lambda: readable.append(scrape(observer).value("tidings_event_store_readable"))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert readable == [1] * 8


def test_a_service_counts_and_has_no_state(parts: Parts, observer: PrometheusObserver) -> None:
    parts.append(3)

    parts.service(observers=Observers([observer])).publish_notifications(X)

    found = scrape(observer)
    assert found.value("tidings_events_published_total", producer="") == 3
    assert found.state() is None


def test_openmetrics_is_given_to_who_asks_for_it(observer: PrometheusObserver) -> None:
    observer.started(X)
    shown = observer.exposition("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")

    assert shown.content_type.startswith("application/openmetrics-text")
    parse: Any = parser.text_string_to_metric_families  # it has no types
    families = {family.name for family in parse(shown.body.decode())}
    assert {"tidings_build", "tidings_exchange_state", "process_cpu_seconds"} <= families


CALLS: list[Callable[[PrometheusObserver], None]] = [
    lambda observer: observer.started("y"),
    lambda observer: observer.failed("y", ValueError(), 1.0),
    lambda observer: observer.spent("y", {"read": 1.0}),
]


@pytest.mark.parametrize("call", CALLS)
def test_exchanges_are_apart(
    observer: PrometheusObserver, call: Callable[[PrometheusObserver], None]
) -> None:
    observer.started(X)
    before = scrape(observer)
    call(observer)

    after = scrape(observer)

    for name in sorted(before.names):
        if not name.startswith("tidings_build"):
            assert after.labels(name) == before.labels(name)
