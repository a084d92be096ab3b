"""A leased exchange has everything that a run needs, or nothing."""

from __future__ import annotations

import pytest

from tests.relay.parts import REMEMBERS, Parts, X, relay_threads
from tidings import LeaseHeldError, LeaseLostError, StoreNotReadyError
from tidings.plugins import Capability
from tidings.relay.leased_exchange import leased_exchange
from tidings.relay.owner import Owner


def nothing() -> None:
    """Track nothing."""


def expect_nothing_kept(parts: Parts) -> None:
    assert parts.owner() is None
    assert parts.broker.connections == 0
    assert relay_threads() == []


def test_the_lease_is_ours_inside_and_given_back_with_the_exchange(parts: Parts) -> None:
    parts.append(3)
    owner = Owner()

    with leased_exchange(parts.route(), owner) as begun:
        assert parts.owner() == str(owner)
        assert begun.open(nothing) == 0
        assert parts.broker.connections == 1
        with pytest.raises(LeaseHeldError), leased_exchange(parts.route(), Owner()):
            pass

    expect_nothing_kept(parts)


def test_a_store_that_is_not_ready_leaves_nothing_kept(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        raise StoreNotReadyError("no tables")

    monkeypatch.setattr(parts.store, "check", check)

    with pytest.raises(StoreNotReadyError), leased_exchange(parts.route(), Owner()):
        pass

    expect_nothing_kept(parts)


@pytest.mark.parametrize(
    ("more", "tracked", "only_remembered"),
    [(frozenset[Capability](), 0, True), (frozenset({Capability.REMEMBERS_DURABLY}), 3, False)],
)
def test_a_broker_that_is_ahead_says_where_to_go_on(
    parts: Parts, more: frozenset[Capability], tracked: int, only_remembered: bool
) -> None:
    parts.append(3)
    parts.service().publish_notifications(X)
    parts.tracker = type(parts.tracker)()

    with leased_exchange(parts.route(capabilities=REMEMBERS | more), Owner()) as begun:
        assert begun.open(nothing) == 3
        assert begun.only_remembered is only_remembered
        assert begun.position.position.event_id == tracked


def test_a_position_moves_only_under_the_lease(parts: Parts) -> None:
    parts.append(3)
    first, second, *_ = parts.store.all_stored_events_since(0, 3)

    with leased_exchange(parts.route(), Owner()) as begun:
        begun.open(nothing)
        begun.position.move(first)
        assert parts.position() == 1
        taken = parts.tracker.acquire_lease(X, "other", 60, in_place_of=begun.lease.lease.epoch)
        with pytest.raises(LeaseLostError):
            begun.position.move(second)

    assert parts.position() == 1
    parts.tracker.release_lease(taken)
