"""What people are told when something is in the way."""

from __future__ import annotations

import fcntl
import socket
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.process import free_port
from tests.zeromq.events import EXCHANGE, Store, event
from tests.zeromq.readers import Reader
from tidings.plugins import (
    BrokerRefusedError,
    BrokerUnavailableError,
    ExchangeLockedError,
    NotificationMessage,
    StoreUnavailableError,
    UndeliverableEventError,
)
from tidings.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.zeromq.conftest import MakeRelay


def test_an_absent_required_subscriber_is_named_with_what_to_do(make_relay: MakeRelay) -> None:
    relay = make_relay(subscribers=["app", "audit"], no_progress_timeout=0.5)
    relay.open(position=40)
    with Reader(relay.address):
        relay.send(41, 42)
        with pytest.raises(BrokerUnavailableError) as raised:
            relay.flush()

    error = raised.value
    assert str(error) == (
        f"Exchange 'my-bc-app': the required subscriber 'audit' has not acknowledged event 41 for "
        f"0.5 s; it is not connected to {relay.address}: start it, or take it out of "
        "`subscribers`."
    )
    assert (error.exchange_name, error.event_id) == (EXCHANGE, 41)
    assert relay.accepted_id is None


def test_a_required_subscriber_that_is_stuck_is_told_from_one_that_is_absent(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay(no_progress_timeout=0.5)
    relay.open()
    relay.send(1)
    with (
        Reader(relay.address, acknowledge=False),
        pytest.raises(BrokerUnavailableError, match=r"it is connected .* has acknowledged none"),
    ):
        relay.flush()


def test_progress_of_a_required_subscriber_puts_the_deadline_off(make_relay: MakeRelay) -> None:
    relay = make_relay(no_progress_timeout=1.0)
    relay.open()
    with Reader(relay.address, seconds_each=0.05) as app:
        relay.send(*range(1, 31))
        relay.flush()

    assert app.ids == list(range(1, 31))


def test_after_a_failure_the_exchange_goes_on_where_it_was_accepted(make_relay: MakeRelay) -> None:
    relay = make_relay(no_progress_timeout=0.3)
    relay.open()
    with Reader(relay.address) as app:
        relay.send(1, 2, 3)
        relay.flush()
    relay.send(4, 5)
    with pytest.raises(BrokerUnavailableError):
        relay.flush()
    assert relay.accepted_id == 3
    relay.close()
    relay.open(position=3)
    relay.send(4, 5)
    with Reader(relay.address) as again:
        relay.flush()

    assert [*app.ids, *again.ids] == [1, 2, 3, 4, 5]


def test_flush_keeps_to_its_own_timeout(make_relay: MakeRelay) -> None:
    relay = make_relay()
    relay.open()
    relay.send(1)

    with pytest.raises(BrokerUnavailableError, match=r"event 1 for 0\.1 s"):
        relay.flush(0.1)


def test_flush_of_nothing_needs_nobody(make_relay: MakeRelay) -> None:
    relay = make_relay(no_progress_timeout=0.1)
    relay.open(position=7)
    relay.flush()

    assert relay.accepted_id is None


def test_a_taken_address_is_an_error_with_what_to_do(make_relay: MakeRelay, address: str) -> None:
    first = make_relay()
    first.open()
    second = make_relay()

    with pytest.raises(ExchangeLockedError, match=r"open already at .* Close that producer"):
        second.open()
    first.send(1)
    with Reader(address) as app:
        first.flush()
    assert app.ids == [1]


def test_an_address_taken_by_another_program_is_an_error(make_relay: MakeRelay) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        relay = make_relay(bind=f"tcp://127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(ExchangeLockedError, match="is taken, by another relay or another"):
            relay.open()
    relay.open()


@pytest.mark.parametrize(
    "bind", ["tcp://192.0.2.1:5556", "tcp://no-such-host.invalid:5556", "ipc:///no/such/folder/x"]
)
def test_an_address_that_cannot_be_bound_is_an_error(make_relay: MakeRelay, bind: str) -> None:
    relay = make_relay(bind=bind)

    with pytest.raises(BrokerRefusedError, match=r"cannot listen at .*Correct `bind`"):
        relay.open()


def test_an_event_that_cannot_be_encoded_leaves_the_exchange_usable(make_relay: MakeRelay) -> None:
    relay = make_relay()
    relay.open()
    lone = NotificationMessage(b"", "application/json", {"aggregate_id": "\ud800"})
    with pytest.raises(UndeliverableEventError, match="event 2 cannot be sent") as raised:
        relay.opened.send([event(1), event(2)._replace(message=lone), event(3)])
    relay.send(3)
    with Reader(relay.address) as app:
        relay.flush()

    assert raised.value.event_id == 2
    assert app.ids == [1, 3]


def test_an_event_store_that_is_away_delays_a_late_joiner_and_nobody_else(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(range(1, 101))
    away = threading.Event()
    away.set()
    original = store.since

    def since(*arguments: Any) -> Any:
        if away.is_set():
            raise StoreUnavailableError("the database is away")
        return original(*arguments)

    monkeypatch.setattr(store, "since", since)
    relay = make_relay(store)
    relay.open(position=90)
    with Reader(relay.address) as app, Reader(relay.address, "late", last_id=0) as late:
        relay.send(*range(91, 101))
        relay.flush()
        assert app.ids == list(range(91, 101))
        assert late.ids == []

        away.clear()
        relay.wait_until(lambda: len(late.messages) == 100, "the late joiner to have all")
    assert late.ids == list(range(1, 101))


def test_a_subscriber_ahead_of_the_event_store_is_named_and_not_believed(
    make_relay: MakeRelay,
) -> None:
    relay = make_relay(Store(range(1, 51)), no_progress_timeout=0.6)
    relay.open(position=40)
    with Reader(relay.address, last_id=900) as app:
        relay.send(*range(41, 51))
        with pytest.raises(BrokerUnavailableError, match=r"has event 900, .* restored"):
            relay.flush()

    assert app.ids == []
    assert relay.accepted_id is None


def test_a_subscriber_ahead_of_the_tracker_has_what_it_says(make_relay: MakeRelay) -> None:
    relay = make_relay(Store(range(1, 51)))
    relay.open(position=40)
    with Reader(relay.address, last_id=45) as app:
        relay.wait_until(lambda: relay.opened.connected() == ["app"], "its request")
        relay.send(*range(41, 46))
        relay.flush(1)
        assert relay.accepted_id == 45

        relay.send(*range(46, 51))
        relay.flush()

    assert app.ids == list(range(46, 51))
    assert relay.accepted_id == 50


def test_an_ipc_address_is_locked_and_a_dead_relays_file_does_no_harm(
    make_relay: MakeRelay, tmp_path: Path
) -> None:
    path = tmp_path / "relay.ipc"
    lock = path.with_suffix(".ipc.lock")
    bind = f"ipc://{path}"
    relay = make_relay(bind=bind)
    relay.open()
    with lock.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    relay.close()
    path.touch()
    relay.open()
    relay.send(1)
    with Reader(bind) as app:
        relay.flush()

    assert app.ids == [1]
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_an_ipc_address_that_another_process_has_is_an_error(
    make_relay: MakeRelay, tmp_path: Path
) -> None:
    bind = f"ipc://{tmp_path}/relay.ipc"
    with (tmp_path / "relay.ipc.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        relay = make_relay(bind=bind)
        with pytest.raises(ExchangeLockedError, match="taken by another relay"):
            relay.open()


def test_a_relay_that_does_not_send_the_exchange_is_mentioned_in_the_log(
    make_relay: MakeRelay, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings_zeromq.patience.SILENCE", 0.02)
    relay = make_relay()
    relay.open()
    with Reader(relay.address, exchange_name="misspelt"):
        eventually(lambda: "'misspelt': does that relay send it?" in caplog.text, "the warning", 60)


def test_two_exchanges_share_an_address_from_two_threads(make_relay: MakeRelay) -> None:
    relays = [make_relay(exchange_name=name, window=50) for name in ("one", "other")]
    for relay in relays:
        relay.open()
    errors: list[Exception] = []

    def work(relay: Any) -> None:
        try:
            relay.send(*range(1, 3001))
            relay.flush()
        except Exception as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    address = relays[0].address
    with (
        Reader(address, exchange_name="one") as one,
        Reader(address, exchange_name="other") as other,
    ):
        threads = [threading.Thread(target=work, args=(relay,)) for relay in relays]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert errors == []
    assert one.ids == other.ids == list(range(1, 3001))


def test_closing_one_exchange_leaves_the_other_on_the_same_address(make_relay: MakeRelay) -> None:
    one, other = make_relay(exchange_name="one"), make_relay(exchange_name="other")
    one.open()
    other.open()
    one.close()
    other.send(1)
    with Reader(other.address, exchange_name="other") as reader:
        other.flush()

    assert reader.ids == [1]


def test_exchanges_with_different_heartbeats_cannot_share_an_address(
    make_relay: MakeRelay,
) -> None:
    one = make_relay(exchange_name="one")
    other = make_relay(exchange_name="other", heartbeat=1.0)
    one.open()

    with pytest.raises(BrokerRefusedError, match=r"cannot share .* with exchange 'one'"):
        other.open()


def test_the_relay_is_found_when_it_comes(make_relay: MakeRelay) -> None:
    relay = make_relay(bind=f"tcp://127.0.0.1:{free_port()}")
    with Reader(relay.address) as app:
        relay.open()
        relay.send(1)
        relay.flush()

    assert app.ids == [1]


def test_an_event_that_cannot_be_serialized_any_more_holds_up_only_who_lacks_it(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(range(1, 11))

    def since(exchange_name: str, event_id: int, limit: int) -> Any:
        raise UndeliverableEventError("event 1 is poison", exchange_name=exchange_name, event_id=1)

    monkeypatch.setattr(store, "since", since)
    relay = make_relay(store)
    relay.open(position=5)
    with Reader(relay.address) as app, Reader(relay.address, "late", last_id=0) as late:
        relay.send(*range(6, 11))
        relay.flush()
        relay.wait_until(lambda: "event 1 is poison" in caplog.text, "the warning")

    assert app.ids == list(range(6, 11))
    assert late.ids == []
