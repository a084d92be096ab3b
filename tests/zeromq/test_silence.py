"""A required subscriber that says nothing: when it is given up, and what the others get."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.relay.parts import Parts
from tests.zeromq.events import EXCHANGE, Store, event
from tests.zeromq.readers import Reader
from tidings.plugins import BrokerUnavailableError, Position, ProducerContext
from tidings.relay.owner import Owner
from tidings.relay.run import Run, running
from tidings.testing import eventually
from tidings_zeromq.open_exchange import OpenZeroMQExchange
from tidings_zeromq.producer import ZeroMQProducer
from tidings_zeromq.settings import ZeroMQSettings

if TYPE_CHECKING:
    from tests.zeromq.conftest import MakeRelay, Relay

LONG_BEFORE_THE_WINDOW_IS_FULL = 10.0
"""Seconds, with an event every 20 ms at the most, and the window of 1,000."""


def send_until_it_fails(relay: Relay, partitions: int = 0) -> None:
    """Send one event after the other, and wait a moment for each."""
    ids = itertools.count(1)

    def one_more() -> bool:
        sent = event(next(ids))
        partition = sent.event_id % partitions if partitions else None
        relay.opened.send([sent._replace(message=sent.message._replace(partition=partition))])
        return False

    relay.wait_until(one_more, "the error", LONG_BEFORE_THE_WINDOW_IS_FULL)


def test_who_waits_gives_a_required_subscriber_up_though_new_events_are_sent_all_the_time(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay(subscribers=["app", "audit"], no_progress_timeout=0.5)
    relay.open()

    with (
        Reader(relay.address),
        pytest.raises(BrokerUnavailableError, match=r"'audit' has not .* event 1 for 0\.5 s"),
    ):
        send_until_it_fails(relay)


def test_a_partition_that_nobody_reads_is_named_though_the_others_go_on(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay(no_progress_timeout=0.5)
    relay.opened = relay.producer.open(EXCHANGE, Position(0), partitions=2)

    with (
        Reader(relay.address, partition=1, partitions=2),
        pytest.raises(BrokerUnavailableError, match=r"reads partition\(s\) 0 at"),
    ):
        send_until_it_fails(relay, partitions=2)


def test_a_required_subscriber_that_has_much_to_catch_up_with_is_not_given_up(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay(Store(range(1, 21)), no_progress_timeout=1.0)
    relay.open(position=20)
    with Reader(relay.address, last_id=0, seconds_each=0.1):
        relay.send(21)

        relay.wait_until(lambda: relay.accepted_id == 21, "the last event to be accepted")


def test_a_required_subscriber_that_is_gone_keeps_no_new_event_from_the_others(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_for_all(_exchange: OpenZeroMQExchange, timeout: float | None = None) -> None:
        raise AssertionError("what is new waits until the one that is gone is given up")

    parts = Parts()
    settings = ZeroMQSettings(bind=address, subscribers=["app", "audit"], no_progress_timeout=1.5)
    producer = ZeroMQProducer(settings, ProducerContext(Store().since))
    monkeypatch.setattr(OpenZeroMQExchange, "flush", wait_for_all)

    with (
        Reader(address, exchange_name="x") as app,
        running(parts.route(producer=producer), Owner()) as run,
        pytest.raises(BrokerUnavailableError, match=r"'audit' .* event 1 for 1\.5 s"),
    ):
        eventually(lambda: reaches(app, parts, run), "the error", 30)

    assert len(app.ids) > 1


def reaches(app: Reader, parts: Parts, run: Run) -> bool:
    """Let one more event be recorded, and reach the one that is there; return false."""
    parts.append()
    run.step()
    recorded = run.sent_count
    while len(app.ids) < recorded:
        run.settle()
    return False
