"""What may stand in the configuration, and what people are told otherwise."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

import tidings_zeromq
from tidings_zeromq import Subscriber
from tidings_zeromq.settings import ZeroMQSettings


@pytest.mark.parametrize(
    ("bind", "connect"),
    [
        ("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5556"),
        ("tcp://relay.example:5556", "tcp://relay.example:5556"),
        ("tcp://*:5556", "tcp://127.0.0.1:5556"),
        ("tcp://0.0.0.0:5556", "tcp://127.0.0.1:5556"),
        ("tcp://[::]:5556", "tcp://[::1]:5556"),
        ("tcp://[::1]:5556", "tcp://[::1]:5556"),
        ("ipc:///run/tidings.ipc", "ipc:///run/tidings.ipc"),
    ],
)
def test_subscribers_connect_to_where_the_relay_listens(bind: str, connect: str) -> None:
    assert ZeroMQSettings(bind=bind).connect_address == connect


def test_subscribers_connect_to_where_they_are_told() -> None:
    settings = ZeroMQSettings(bind="tcp://*:5556", connect="tcp://relay.example:7777")

    assert settings.connect_address == "tcp://relay.example:7777"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1:5556",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:*",
        "tcp://:5556",
        "tcp://a b:5556",
        "udp://127.0.0.1:5556",
        "inproc://x",
        "ipc://",
        "ipc:///" + "x" * 101,
    ],
)
def test_what_is_no_address_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(ValidationError, match=r"tcp://|65535|too long"):
        ZeroMQSettings(bind=address)


def test_without_required_subscribers_the_lossy_word_is_pointed_out() -> None:
    with pytest.raises(ValidationError, match='backend = "zeromq-pub"'):
        ZeroMQSettings(subscribers=[])


@pytest.mark.parametrize("names", [["app", "app"], [""], ["a\nb"], ["x" * 256]])
def test_names_that_cannot_be_used_are_refused(names: list[str]) -> None:
    with pytest.raises(ValidationError, match=r"twice|cannot name"):
        ZeroMQSettings(subscribers=names)


def test_every_setting_is_described() -> None:
    fields = ZeroMQSettings.model_fields
    assert [name for name, field in fields.items() if not field.description] == []


def test_a_subscriber_takes_both_keys_or_none() -> None:
    with pytest.raises(ValueError, match="both keys"):
        Subscriber(connect="tcp://127.0.0.1:5556", exchange_name="x", name="app", secret_key="x")


@pytest.mark.parametrize(
    "wrong", [{"last_id": -1}, {"connect": "x"}, {"name": ""}, {"exchange_name": "x" * 256}]
)
def test_a_subscriber_refuses_what_it_could_not_use(wrong: dict[str, object]) -> None:
    options = {"connect": "tcp://127.0.0.1:5556", "exchange_name": "x", "name": "app"}
    with pytest.raises(ValueError, match=r"last_id|address|name"):
        Subscriber(**(options | wrong))  # type: ignore[arg-type]


def test_a_subscriber_that_is_not_open_says_so() -> None:
    subscriber = Subscriber(connect="tcp://127.0.0.1:5556", exchange_name="x", name="app")
    with pytest.raises(RuntimeError, match=r"No exchange is open; call open\(\) first"):
        subscriber.receive(0)
    subscriber.close()


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Publisher'"):
        tidings_zeromq.Publisher  # noqa: B018 - it is the asking that counts
