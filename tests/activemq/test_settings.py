"""What the settings take, refuse and show."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from tidings.plugins import Capability
from tidings_activemq.producer import ActiveMQProducer
from tidings_activemq.settings import ActiveMQSettings


def settings(**values: Any) -> ActiveMQSettings:
    return ActiveMQSettings(**{"url": "stomp://u:s3cret@host:1"} | values)


def test_a_url_is_taken_apart() -> None:
    address = settings(url="stomp+ssl://us%40er:p%2Fw%3A@[::1]:99").addresses[0]

    assert (address.user, address.password) == ("us@er", "p/w:")
    assert (address.host, address.port, address.tls) == ("::1", 99, True)
    assert str(address) == "stomp+ssl://us@er@[::1]:99"


def test_a_url_may_name_several_hosts() -> None:
    several = settings(url="stomp://u:s3cret@one:1,[::1],three:3").addresses

    assert [each.place for each in several] == ["one:1", "[::1]:61613", "three:3"]
    assert {(each.user, each.password) for each in several} == {("u", "s3cret")}


def test_a_url_may_leave_out_port_and_login() -> None:
    assert settings(url="stomp://host").addresses[0].port == 61613
    assert settings(url="stomp+ssl://host").addresses[0].port == 61612
    assert settings(url="stomp://host").addresses[0].user is None


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"url": "tcp://u:s3cret@host:1"}, "must look like stomp://"),
        ({"url": "stomp://"}, "must look like stomp://"),
        ({"url": "stomp://u:s3cret@host:port"}, "is not a URL"),
        ({"url": "stomp://u:s3cret@host:1,"}, "must look like stomp://"),
        ({"url": "stomp://u:s3/cret@host:1"}, "is not a URL|after the port"),
        ({"url": "stomp://u:s3cret%0A@host:1"}, "line break"),
        ({"subscribers": ["a.b"]}, "'a.b' cannot be part"),
        ({"subscribers": [""]}, "cannot be part"),
        ({"routing": "fanout"}, "'none', 'header' or 'topic'"),
        ({"subscribers": {"app": ["a.*"]}}, "routing must be 'topic'"),
        ({"routing": "topic", "subscribers": {"app": ["a b"]}}, "'a b' cannot stand in"),
        ({"routing": "topic", "destination": "/queue/x"}, "destination is one for all"),
        ({"topic_name": "orders"}, "must hold {exchange}"),
        ({"topic_name": "a.{exchange}.{b}"}, "nothing else in braces"),
        ({"topic_name": "a.>.{exchange}"}, "no destination's name"),
        ({"topic_name": "a.{{exchange}}"}, "no destination's name"),
        ({"queue_name": "Consumer.{exchange}"}, "must hold {exchange} and {subscriber}"),
        ({"destination": "orders"}, "must begin with /queue/"),
        ({"ca_file": "/ca.pem"}, "ca_file needs a url that begins with stomp\\+ssl"),
        ({"url": "stomp+ssl://h", "key_file": "/k"}, "key_file needs certificate_file"),
        ({"window": 10, "batch_size": 11}, "at least batch_size"),
        ({"no_progress_timeout": 0}, "greater than 0"),
    ],
)
def test_bad_settings_are_refused_with_a_reason_and_no_secret(
    values: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(ValidationError, match=wrong) as raised:
        settings(**values)

    assert "s3" not in str(raised.value)
    assert "cret" not in str(raised.value)


def test_no_repr_shows_the_password() -> None:
    made = settings()

    shown = f"{made!r} {made} {made.addresses!r} {made.addresses[0]} {made.model_dump()}"
    assert "s3cret" not in shown
    assert made.url == SecretStr("stomp://u:s3cret@host:1")


def test_every_setting_is_described() -> None:
    for name, field in ActiveMQSettings.model_fields.items():
        assert field.description, name


def test_the_capabilities_go_with_the_token() -> None:
    always = {Capability.OUT_OF_ORDER, Capability.WAIT_SETTLES, Capability.PARTITIONS}
    of_the_token = {
        Capability.LOCK,
        Capability.MOST_RECENT_ACCEPTED,
        Capability.REMEMBERS_DURABLY,
    }
    assert ActiveMQProducer(settings(token=True)).capabilities == always | of_the_token
    assert ActiveMQProducer(settings(token=False)).capabilities == always


@pytest.mark.parametrize("routing", ["header", "topic"])
def test_routing_is_a_capability_if_it_is_set(routing: str) -> None:
    assert Capability.ROUTING in ActiveMQProducer(settings(routing=routing)).capabilities
