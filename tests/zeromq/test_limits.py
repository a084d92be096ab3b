"""Peers that send or leave lying more than a subscriber has to: cut off, named, and no harm."""

from __future__ import annotations

import re
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import zmq

from tests.zeromq.events import EXCHANGE, Store
from tests.zeromq.readers import Reader
from tidings.testing import eventually
from tidings_zeromq import endpoint, guard
from tidings_zeromq.supply import FRAME_BYTES
from tidings_zeromq.wire import Request, encode_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.zeromq.conftest import MakeRelay, Relay

Dealer = zmq.Socket[bytes]


@contextmanager
def peer(address: str) -> Iterator[Dealer]:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.sndhwm = 0
        dealer.connect(address)
        yield dealer


@contextmanager
def flooding(dealer: Dealer) -> Iterator[None]:
    """Send valid requests as fast as can be, each of them for a new feed, and read nothing."""
    stop = threading.Event()

    def flood() -> None:
        nonce = 0
        while not stop.is_set():
            nonce += 1
            dealer.send(encode_request(Request(nonce, 0, 0, "flood", EXCHANGE)))
            if nonce % 50_000 == 0:
                stop.wait(0.2)  # else this process's own memory grows

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def cut_off(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [record.getMessage() for record in caplog.records]
    return [each for each in said if "was cut off" in each]


def test_a_peer_that_floods_is_cut_off_and_named_and_the_others_go_on(
    make_relay: MakeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    relay = make_relay()
    relay.open()
    with Reader(relay.address) as app, peer(relay.address) as dealer:
        dealer.send(encode_request(Request(0, 0, 0, "flood", EXCHANGE)))
        relay.wait_until(lambda: "flood" in relay.opened.connected(), "it to be known")
        with flooding(dealer):
            relay.wait_until(lambda: bool(cut_off(caplog)), "the flood to be noticed", 60)
            relay.send(*range(1, 1001))
            relay.flush(60)

    assert app.ids == list(range(1, 1001))
    assert re.match(
        r"Peer 127\.0\.0\.1 \(subscriber 'flood'\) was cut off: it sent \d+ bytes",
        cut_off(caplog)[0],
    )


def test_a_flood_is_noticed_while_the_relay_is_busy_elsewhere(
    make_relay: MakeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    relay = make_relay()
    relay.open()
    with peer(relay.address) as dealer, flooding(dealer):
        eventually(lambda: bool(cut_off(caplog)), "the flood to be noticed, by no call of ours", 60)


def test_a_message_of_very_many_parts_is_cut_off_before_it_ends(
    make_relay: MakeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    relay = make_relay()
    relay.open()
    with peer(relay.address) as dealer:
        for _ in range(150_000):
            dealer.send(bytes(1000), zmq.SNDMORE)
        dealer.send(b"")  # libzmq sends none before the last is there
        relay.wait_until(lambda: bool(cut_off(caplog)), "the peer to be cut off", 60)
    with Reader(relay.address) as app:
        relay.send(1)
        relay.flush(60)

    assert app.ids == [1]
    (sent,) = re.findall(r"it sent (\d+) bytes", cut_off(caplog)[0])
    assert guard.BURST < int(sent) < 100_000_000


def test_a_message_of_many_parts_is_read_away_a_turn_at_a_time(
    make_relay: MakeRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "TURN", 10)
    taken = [0]
    recv, requests, idle = zmq.Socket.recv, endpoint.Endpoint.requests, endpoint.Endpoint.idle

    def counted(router: zmq.Socket[bytes], *arguments: Any, **options: Any) -> Any:
        if router.type == zmq.ROUTER:
            taken[-1] += 1
        return recv(router, *arguments, **options)

    def turn_of(method: Callable[..., Any]) -> Callable[..., Any]:
        def turn(*arguments: Any) -> Any:
            taken.append(0)
            return method(*arguments)

        return turn

    monkeypatch.setattr(zmq.Socket, "recv", counted)
    monkeypatch.setattr(endpoint.Endpoint, "requests", turn_of(requests))
    monkeypatch.setattr(endpoint.Endpoint, "idle", turn_of(idle))
    relay = make_relay()
    relay.open()
    with peer(relay.address) as dealer, Reader(relay.address) as app:
        dealer.send_multipart([b""] * 1000)
        relay.send(*range(1, 101))
        relay.flush(60)
        relay.wait_until(lambda: sum(taken) > 1000, "all parts to be read away")

    assert app.ids == list(range(1, 101))
    assert max(taken) <= 12


def connections(relay: Relay) -> int:
    """Return how many the relay has, as the system knows them."""
    port = int(relay.address.rpartition(":")[2])
    ours = psutil.Process().net_connections("tcp")
    return sum(each.laddr.port == port and each.status == "ESTABLISHED" for each in ours)


def test_connections_beyond_the_limit_are_cut_off_strangers_first(
    make_relay: MakeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    relay = make_relay(max_connections=3)
    relay.open()
    with Reader(relay.address) as app, ExitStack() as stack:
        relay.send(1)
        relay.flush(60)
        for _ in range(6):
            stack.enter_context(peer(relay.address))
        relay.wait_until(lambda: bool(cut_off(caplog)), "somebody to be cut off")
        relay.send(2)
        relay.flush(60)
        relay.wait_until(lambda: 0 < connections(relay) <= 3, "three to be left")

    assert app.ids == [1, 2]
    assert "more than 3 connections (`max_connections`)" in cut_off(caplog)[0]


@pytest.mark.parametrize("name", ["idle", "app"])
def test_peers_that_do_not_read_share_what_one_may_leave_lying(
    make_relay: MakeRelay, name: str
) -> None:
    budget = 4 * FRAME_BYTES
    relay = make_relay(Store(range(1, 20_001)), window_bytes=budget, window=10_000)
    relay.open(position=15_000)
    asks = encode_request(Request(1, 0, 0, name, EXCHANGE))
    with ExitStack() as stack:
        peers = [stack.enter_context(peer(relay.address)) for _ in range(10)]
        for each in peers:
            each.send(asks)
        relay.wait_until(lambda: len(relay.opened.connected()) == 10, "all to be known")
        with Reader(relay.address, last_id=15_000) as app:
            relay.send(*range(15_001, 20_001))
            relay.flush(60)
        lying = 0

        def all_read() -> bool:
            """Read what was left lying, which nobody acknowledges; more is sent to nobody."""
            nonlocal lying
            frames = [each.recv() for each in peers if each.poll(0)]
            lying += sum(map(len, frames))
            return not frames and lying > budget // 2

        relay.wait_until(all_read, "the peers to have read what lay there")

    assert lying <= budget + 10 * 2 * FRAME_BYTES
    assert app.ids == list(range(15_001, 20_001))


def test_a_peer_that_asks_again_and_again_and_never_reads_is_cut_off(
    make_relay: MakeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    relay = make_relay(Store(range(1, 20_001)), window_bytes=1024)
    relay.open(position=20_000)
    nonce = 0

    def cut() -> bool:
        nonlocal nonce
        nonce += 1
        dealer.send(encode_request(Request(nonce, 0, 0, "idle", EXCHANGE)))
        return bool(cut_off(caplog))

    with peer(relay.address) as dealer:
        relay.wait_until(cut, "the peer to be cut off")

    (said,) = cut_off(caplog)
    assert said == (
        "Peer 127.0.0.1 (subscriber 'idle') was cut off: it asks again and again, and takes "
        "nothing it is sent."
    )
