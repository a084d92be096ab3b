"""Encrypted connections: who may join, and what the others are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import zmq
from pydantic import ValidationError

from tests.zeromq.events import EXCHANGE
from tests.zeromq.readers import Reader
from tidings.plugins import BrokerRefusedError, BrokerUnavailableError
from tidings.testing import eventually
from tidings_zeromq.consumer import ZeroMQConsumer
from tidings_zeromq.settings import ZeroMQSettings

if TYPE_CHECKING:
    from tests.zeromq.conftest import MakeRelay


class Keys(NamedTuple):
    public: str
    secret: str


def new_keys() -> Keys:
    public, secret = zmq.curve_keypair()
    return Keys(public.decode(), secret.decode())


RELAY, CLIENT, STRANGER = new_keys(), new_keys(), new_keys()


def test_an_authorised_subscriber_is_served(make_relay: MakeRelay) -> None:
    relay = make_relay(curve_secret_key=RELAY.secret, curve_clients=[CLIENT.public])
    relay.open()
    relay.send(1, 2, 3)
    with Reader(relay.address, secret_key=CLIENT.secret, relay_public_key=RELAY.public) as app:
        relay.flush()

    assert app.ids == [1, 2, 3]


def test_a_star_admits_whoever_knows_the_relays_key(make_relay: MakeRelay) -> None:
    relay = make_relay(curve_secret_key=RELAY.secret, curve_clients=["*"])
    relay.open()
    relay.send(1)
    with Reader(relay.address, secret_key=STRANGER.secret, relay_public_key=RELAY.public) as app:
        relay.flush()

    assert app.ids == [1]


def test_a_stranger_is_refused_and_both_sides_are_told(
    make_relay: MakeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    relay = make_relay(
        curve_secret_key=RELAY.secret, curve_clients=[CLIENT.public], no_progress_timeout=1.0
    )
    relay.open()
    relay.send(1)
    with Reader(
        relay.address, secret_key=STRANGER.secret, relay_public_key=RELAY.public
    ) as stranger:
        with pytest.raises(BrokerUnavailableError, match=r"1 CURVE key.* were refused"):
            relay.flush()
        eventually(lambda: stranger.error is not None, "the stranger to be told", 60)

    assert isinstance(stranger.error, BrokerRefusedError)
    assert "is not among the relay's curve_clients" in str(stranger.error)
    assert stranger.ids == []
    assert STRANGER.public in caplog.text
    _no_secret_in(caplog.text, str(stranger.error))


@pytest.mark.parametrize(
    "keys",
    [{}, {"secret_key": CLIENT.secret, "relay_public_key": STRANGER.public}],
    ids=["no keys", "another relay's key"],
)
def test_a_subscriber_without_the_relays_key_is_told(
    make_relay: MakeRelay, keys: dict[str, Any]
) -> None:
    relay = make_relay(curve_secret_key=RELAY.secret, curve_clients=[CLIENT.public])
    relay.open()
    relay.send(1)
    with Reader(relay.address, **keys) as app:
        relay.wait_until(lambda: app.error is not None, "the subscriber to be told")

    assert isinstance(app.error, BrokerRefusedError)
    assert "breaks every handshake" in str(app.error)
    assert app.ids == []
    _no_secret_in(str(app.error))


def test_a_relay_without_keys_is_not_believed(make_relay: MakeRelay) -> None:
    relay = make_relay()
    relay.open()
    relay.send(1)
    with Reader(relay.address, secret_key=CLIENT.secret, relay_public_key=RELAY.public) as app:
        relay.wait_until(lambda: app.error is not None, "the subscriber to be told")

    assert isinstance(app.error, BrokerRefusedError)
    assert app.ids == []


def test_the_consumer_takes_its_keys_from_the_settings(make_relay: MakeRelay) -> None:
    relay = make_relay(
        curve_secret_key=RELAY.secret,
        curve_clients=[CLIENT.public],
        curve_client_secret_key=CLIENT.secret,
    )
    relay.open()
    relay.send(1)
    consumer = ZeroMQConsumer(relay.settings, None)
    consumer.open(EXCHANGE)
    received: list[str] = []

    def receive() -> bool:
        message = consumer.receive(0.05)
        received.extend([message.message_id] if message else [])
        return bool(received)

    try:
        relay.wait_until(receive, "the message")
    finally:
        consumer.close()

    assert received == ["1"]


def test_a_consumer_without_a_key_of_its_own_says_which_setting_is_missing() -> None:
    consumer = ZeroMQConsumer(ZeroMQSettings(curve_public_key=RELAY.public), None)

    with pytest.raises(BrokerRefusedError, match="set curve_client_secret_key"):
        consumer.open(EXCHANGE)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"curve_secret_key": RELAY.secret}, "curve_clients names nobody"),
        ({"curve_secret_key": RELAY.secret[:-1]}, "this has 39"),
        ({"curve_secret_key": RELAY.secret[:-1] + "~"}, "this is no Z85 text"),
        ({"curve_public_key": "#" * 40}, "this is no Z85 text"),
        ({"curve_public_key": "short"}, "this has 5"),
        ({"curve_secret_key": RELAY.secret, "curve_clients": ["x"]}, "this has 1"),
        ({"curve_clients": [CLIENT.public]}, "without curve_secret_key: nothing is encrypted"),
        ({"curve_client_secret_key": CLIENT.secret}, "without curve_public_key"),
        (
            {
                "curve_secret_key": RELAY.secret,
                "curve_public_key": STRANGER.public,
                "curve_clients": ["*"],
            },
            "does not belong to curve_secret_key",
        ),
    ],
)
def test_wrong_keys_in_the_settings_are_named_without_showing_them(
    make_relay: MakeRelay, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises((ValidationError, BrokerRefusedError)) as raised:
        make_relay(**settings).open()

    assert sentence in str(raised.value)
    _no_secret_in(str(raised.value))
    assert RELAY.secret[:-1] not in str(raised.value)


def test_secrets_do_not_appear_in_any_repr(make_relay: MakeRelay) -> None:
    relay = make_relay(
        curve_secret_key=RELAY.secret,
        curve_clients=["*"],
        curve_client_secret_key=CLIENT.secret,
    )
    relay.open()

    _no_secret_in(repr(relay.settings), str(relay.settings), repr(relay.producer))


def _no_secret_in(*texts: str) -> None:
    for text in texts:
        for keys in (RELAY, CLIENT, STRANGER):
            assert keys.secret not in text
