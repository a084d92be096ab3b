"""Links on which an answer takes longer than a subscriber waits until it asks again."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Self

import pytest
import zmq

from tests.zeromq.events import EXCHANGE, Store, event
from tests.zeromq.readers import Reader
from tidings.testing import TcpProxy, eventually
from tidings_zeromq import Subscriber
from tidings_zeromq.event_wire import encode_event
from tidings_zeromq.sequence import Sequence, Verdict
from tidings_zeromq.subscriber_socket import SubscriberSocket
from tidings_zeromq.wire import Head, Request, decode_request, encode_beginning, encode_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.zeromq.conftest import MakeRelay
    from tidings.plugins import ReceivedMessage


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    """Give the list of what subscribers have thought of frames."""
    verdicts: list[Verdict] = []
    judge = Sequence.judge

    def note(sequence: Sequence, head: Head) -> Verdict:
        verdicts.append(judge(sequence, head))
        return verdicts[-1]

    monkeypatch.setattr(Sequence, "judge", note)
    return verdicts


def test_events_arrive_once_and_in_order_when_answers_take_longer_than_the_silence(
    make_relay: MakeRelay, verdicts: list[Verdict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings_zeromq.patience.SILENCE", 0.25)
    relay = make_relay(Store(range(1, 301)), window=100)
    relay.open(position=200)
    host, _, port = relay.address.removeprefix("tcp://").rpartition(":")
    with TcpProxy(host, int(port)) as proxy:
        proxy.delay(0.2)
        with Reader("tcp://{}:{}".format(*proxy.address), last_id=0) as app:
            relay.wait_until(lambda: len(app.messages) >= 200, "what the store holds", 30)
            verdicts.clear()
            relay.wait_until(lambda: verdicts.count(Verdict.BEGIN) >= 2, "answers in the silence")
            relay.send(*range(201, 301))
            relay.flush()

    assert app.ids == list(range(1, 301))
    assert app.error is None
    assert relay.accepted_id == 300


class Hand:
    """A subscriber and its relay, both moved by hand, and the subscriber's clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        self.asked: list[Request] = []
        self._connection: SubscriberSocket | None = None
        self._nonce = 0
        self.received: list[ReceivedMessage] = []
        send = SubscriberSocket.send

        def note(connection: SubscriberSocket, frame: bytes) -> None:
            self._connection, self._nonce = connection, decode_request(frame).nonce
            send(connection, frame)

        monkeypatch.setattr(SubscriberSocket, "send", note)
        monkeypatch.setattr(
            "tidings_zeromq.contact.time", SimpleNamespace(monotonic=lambda: self.now)
        )
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.linger = 0
        self._address = "tcp://127.0.0.1:{}".format(
            self._router.bind_to_random_port("tcp://127.0.0.1")
        )
        self._peer = b""
        self.subscriber = Subscriber(
            connect=self._address, exchange_name=EXCHANGE, name="app", last_id=0
        )

    def __enter__(self) -> Self:
        self.subscriber.open()
        self.wait_for_ask("the first request")
        return self

    def __exit__(self, *_: object) -> None:
        self.subscriber.close()
        self._router.close()
        self._context.term()

    def wait_for_ask(self, what: str) -> None:
        asked = len(self.asked)
        eventually(lambda: self._turn() and len(self.asked) > asked, what, 60)

    def after(self, seconds: float) -> None:
        """Let the subscriber's clock go on; it looks at it once."""
        self.now += seconds
        self._turn()

    def asks_after(self, seconds: float) -> bool:
        """Return whether the subscriber asks anew when ``seconds`` have passed, and not before."""
        nonce = self._nonce
        self.after(seconds - 0.01)
        too_early = self._nonce != nonce
        self.after(0.02)
        if too_early or self._nonce == nonce:
            return False
        eventually(lambda: self._turn() and self.asked[-1].nonce != nonce, "the request", 60)
        return True

    def answer(self, request: Request, verdicts: list[Verdict], *ids: int) -> None:
        """Answer a request, as an honest relay does, and wait until the subscriber has judged."""
        frames = [encode_beginning(request.nonce, request.last_id)]
        if ids:
            events = [encode_event(*event(each)) for each in ids]
            frames.append(encode_events(request.nonce, request.last_id, events))
        judged = len(verdicts) + len(frames)
        for frame in frames:
            self._router.send_multipart([self._peer, frame])
        eventually(lambda: self._turn() and len(verdicts) >= judged, "the answer to be judged", 60)
        self._turn()

    def cut(self) -> None:
        """End the connection; the subscriber finds the relay again."""
        self._router.unbind(self._address)
        self._router.close()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.linger = 0
        eventually(lambda: self._turn() and not self._established, "the end of the connection", 60)
        self._router.bind(self._address)
        self.wait_for_ask("the request to the relay found again")

    @property
    def _established(self) -> bool:
        return self._connection is not None and self._connection.established

    def _turn(self) -> bool:
        message = self.subscriber.receive(0)
        self.received += [message] if message else []
        while self._router.poll(10):
            self._peer, frame = self._router.recv_multipart()
            request = decode_request(frame)
            if not self.asked or self.asked[-1].nonce != request.nonce:  # else it acknowledges
                self.asked.append(request)
        return True


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hand]:
    with Hand(monkeypatch) as hand:
        yield hand


def test_a_relay_that_does_not_answer_is_asked_less_and_less_often(hand: Hand) -> None:
    for seconds in (0.5, 1, 2, 4, 8, 8):
        assert hand.asks_after(seconds)
    assert len(hand.asked) == 7


def test_an_answer_makes_the_next_silence_as_short_as_at_first(
    hand: Hand, verdicts: list[Verdict]
) -> None:
    for seconds in (0.5, 1, 2):
        assert hand.asks_after(seconds)
    hand.answer(hand.asked[-1], verdicts)

    assert hand.asks_after(0.5)
    assert hand.asks_after(0.5)


def test_a_relay_found_again_is_soon_asked_again(hand: Hand) -> None:
    for seconds in (0.5, 1, 2, 4):
        assert hand.asks_after(seconds)
    hand.cut()

    assert hand.asks_after(0.5)


def test_late_answers_to_an_earlier_request_show_that_the_link_is_alive(
    hand: Hand, verdicts: list[Verdict]
) -> None:
    assert hand.asks_after(0.5)
    first, second = hand.asked
    for _ in range(20):
        hand.after(0.9)
        hand.answer(first, verdicts, 1, 2)
    assert len(hand.asked) == 2
    assert hand.received == []

    hand.answer(second, verdicts, 1, 2, 3)
    hand.after(0)
    hand.after(0)
    assert [message.message_id for message in hand.received] == ["1", "2", "3"]


def test_after_late_answers_a_lost_one_is_asked_for_again(
    hand: Hand, verdicts: list[Verdict]
) -> None:
    assert hand.asks_after(0.5)
    hand.after(0.9)
    hand.answer(hand.asked[0], verdicts, 1, 2)

    assert hand.asks_after(1)


def test_how_long_answers_take_is_how_long_they_are_waited_for(
    hand: Hand, verdicts: list[Verdict]
) -> None:
    assert hand.asks_after(0.5)
    hand.after(0.8)
    hand.answer(hand.asked[-1], verdicts)
    assert hand.asks_after(1.6)
    hand.after(0.1)
    hand.answer(hand.asked[-1], verdicts)

    assert hand.asks_after(0.5)


def test_a_beginning_that_nobody_asked_for_says_nothing_about_the_link(
    hand: Hand, verdicts: list[Verdict]
) -> None:
    hand.answer(hand.asked[-1], verdicts, 1)
    hand.after(0)
    for _ in range(20):
        hand.after(0.4)
        hand.answer(hand.asked[-1], verdicts)
    assert len(hand.asked) == 1

    assert hand.asks_after(0.5)
