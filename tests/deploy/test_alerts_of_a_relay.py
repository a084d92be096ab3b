"""Each alert fires when a real relay is in that trouble, and resolves when it is over.

Prometheus has our rules, with shorter times; a relay works on RabbitMQ and PostgreSQL. Each test
waits until all is well again, so that the next one may begin.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.deploy.rendering import rendered
from tests.deploy.watched import BOTH, PATIENCE
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deploy.watched import Watched

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def watched(world: Watched) -> Iterator[Watched]:
    """Give it while a relay works, and all is well."""
    with world.watched() as running:
        world.relay.becomes("/readyz", 200)
        world.all_is_well()
        yield world
        assert running.terminate() == 0


def test_a_broker_that_dies(watched: Watched) -> None:
    """`TidingsFailing`, `TidingsLate`, `TidingsFallsBehind`."""
    watched.add()
    watched.broker.kill()

    def falls_behind() -> bool:
        watched.add(count=5)
        assert watched.relay.ask("/livez")[0] == 200
        return watched.firing("TidingsFallsBehind") == BOTH

    eventually(falls_behind, "TidingsFallsBehind to fire", PATIENCE)
    watched.fires("TidingsFailing", BOTH)
    watched.fires("TidingsLate", BOTH)
    assert watched.relay.ask("/readyz")[0] == 503
    watched.broker.start()

    watched.relay.becomes("/readyz", 200)
    watched.all_is_well()


def test_a_database_that_dies(watched: Watched) -> None:
    """`TidingsStoreUnreadable`."""
    watched.database.kill()
    watched.fires("TidingsStoreUnreadable", BOTH)
    assert watched.relay.ask("/livez")[0] == 200
    watched.database.start()

    watched.relay.becomes("/readyz", 200)
    watched.all_is_well()


def test_a_transaction_that_stays_open(watched: Watched) -> None:
    """`TidingsHeld`."""
    with watched.engine.connect() as connection:
        watched.append_to(connection, "OrderPlaced")
        watched.add()
        watched.fires("TidingsHeld", BOTH)
        connection.rollback()

    watched.all_is_well()


def test_an_event_that_can_never_be_sent(watched: Watched) -> None:
    """`TidingsStopped`."""
    event_id = watched.add("OrderPlaced", "{not JSON")
    watched.fires("TidingsStopped", {"orders"})
    watched.mend(event_id)

    watched.all_is_well()


def test_an_event_in_quarantine(watched: Watched) -> None:
    """`TidingsQuarantine`."""
    event_id = watched.add("AuditMade", "{not JSON")
    watched.fires("TidingsQuarantine", {"audit"})
    watched.mend(event_id)
    watched.succeed("quarantine", "retry", "audit", str(event_id))

    watched.all_is_well()


def test_a_relay_that_is_gone(world: Watched) -> None:
    """`TidingsDown`, `TidingsUnseen`."""
    with world.watched():
        world.all_is_well()
    world.fires("TidingsDown", {""})
    world.fires("TidingsUnseen", {""})

    with world.watched() as running:
        world.all_is_well()
        assert running.terminate() == 0


def test_a_relay_that_only_stands_by(world: Watched) -> None:
    """`TidingsNobodyCarries`."""
    with world.running("run") as elsewhere:
        for exchange in BOTH:
            elsewhere.wait_for_log(f"{exchange}: carried by this relay")
        with world.watched() as running:
            world.fires("TidingsNobodyCarries", BOTH)
            assert world.relay.ask("/readyz")[0] == 200
            assert elsewhere.terminate() == 0
            world.all_is_well()
            assert running.terminate() == 0


def test_an_exchange_that_somebody_paused_alarms_nobody(watched: Watched) -> None:
    watched.succeed("pause", "orders", "--reason", "stock taking")
    # Two samples a second, for longer than `TidingsNobodyCarries` would take to fire.
    paused = 'sum_over_time(tidings_exchange_state{state="paused",exchange="orders"}[10s]) >= 14'
    eventually(lambda: bool(watched.prometheus.query(paused)), "a long pause", PATIENCE)
    held = watched.prometheus.query('max_over_time(tidings_lease_held{exchange="orders"}[5s])')
    fired = watched.prometheus.query('count_over_time(ALERTS{alertstate="firing"}[6s])')
    watched.succeed("resume", "orders")

    assert set(held.values()) == {0}
    assert fired == {}
    watched.add()
    watched.all_is_well()


def test_every_alert_is_one_of_these() -> None:
    (group,) = yaml.safe_load(rendered())["groups"]
    tests = [each for name, each in globals().items() if name.startswith("test_")]
    tried = re.findall(r"`(Tidings\w+)`", "".join(each.__doc__ or "" for each in tests))

    assert sorted(rule["alert"] for rule in group["rules"]) == sorted(tried)
