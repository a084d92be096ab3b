"""A relay of another event store at the address: what a subscriber has is not of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.zeromq.events import Store
from tests.zeromq.readers import Reader
from tidings.plugins import BrokerRefusedError, BrokerUnavailableError

if TYPE_CHECKING:
    from tests.zeromq.conftest import MakeRelay, Relay

OLD, NEW = "0" * 32, "1" * 32


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidings_zeromq.patience.SILENCE", 0.1)


@pytest.fixture
def other(make_relay: MakeRelay) -> Relay:
    """Give a relay, not open yet, of a store that has grown past what the subscriber has."""
    return make_relay(Store(range(1, 26)), no_progress_timeout=0.6)


def is_refused(reader: Reader) -> bool:
    return isinstance(reader.error, BrokerRefusedError)


def test_a_subscriber_that_goes_on_says_so_and_acknowledges_nothing(
    make_relay: MakeRelay, other: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    relay = make_relay(Store(range(1, 11)))
    relay.open(identity=OLD)
    with Reader(relay.address, last_id=0) as app:
        relay.send(*range(1, 11))
        relay.flush()
        relay.close()
        other.open(identity=NEW)
        other.send(*range(1, 26))
        with pytest.raises(BrokerUnavailableError, match="are of another event store"):
            other.flush()
        other.close()
        other.open(identity=NEW)
        other.wait_until(lambda: is_refused(app), "the subscriber to notice")

        assert "event 10, the newest here, is not one of them" in str(app.error)
        assert "'app' of exchange" in caplog.text
        assert other.accepted_id is None
    assert app.ids == [*range(1, 11)]


def test_a_subscriber_that_kept_the_store_beside_its_last_id_is_protected_after_a_restart(
    other: Relay,
) -> None:
    other.open(identity=NEW)
    other.send(*range(1, 26))
    with Reader(other.address, last_id=10, store=OLD) as app:
        other.wait_until(lambda: is_refused(app), "the subscriber to notice")
    with Reader(other.address, last_id=0) as anew:
        other.flush()

    assert app.ids == []
    assert anew.ids == [*range(1, 26)]
    assert anew.store == NEW


def test_a_subscriber_of_the_same_store_goes_on(other: Relay) -> None:
    other.open(identity=NEW)
    other.send(*range(1, 26))
    with Reader(other.address, last_id=10, store=NEW) as app:
        other.flush()

    assert app.ids == [*range(11, 26)]
