"""Settings: read, or refused with a reason that quotes no secret."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tidings_rabbitmq.settings import RabbitMQSettings

if TYPE_CHECKING:
    from pathlib import Path


def settings(**values: Any) -> RabbitMQSettings:
    return RabbitMQSettings(**{"url": "amqp://localhost/"} | values)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqp://localhost", ("localhost", 5672, "/", "guest", "guest", False)),
        ("amqp://localhost/", ("localhost", 5672, "/", "guest", "guest", False)),
        ("amqps://b.example/shop", ("b.example", 5671, "shop", "guest", "guest", True)),
        ("amqp://u:p@[::1]:1/%2Fa%2Fb", ("::1", 1, "/a/b", "u", "p", False)),
        ("amqp://%C3%BC:p%40%2F%3A@h/", ("h", 5672, "/", "ü", "p@/:", False)),
        ("amqp://u:@h/", ("h", 5672, "/", "u", "", False)),
    ],
)
def test_a_url_says_where_the_broker_is(url: str, expected: tuple[object, ...]) -> None:
    address = settings(url=url).address

    host, port, virtual_host, user, password, tls, _ = address
    assert (host, port, virtual_host, user, password.get_secret_value(), tls) == expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://u:S3CR3T@h/", "must begin with amqp:// or amqps://"),
        ("u:S3CR3T@h:5672", "must begin with"),
        ("amqp://u:S3CR3T@/", "names no host"),
        ("amqp://u:S3CR/3T@h/", "percent-encoded"),
        ("amqp://u:S3CR#3T@h/", "percent-encoded"),
        ("amqp://u:S3CR?3T@h/", "percent-encoded"),
        ("amqp://u:[S3CR3T@h/", "not a URL"),
        ("amqp://u:S3CR3T@h:99999/", "port that is not a number up to 65535"),
        ("amqp://u:S3CR3T@h/a/b", "write it as %2F"),
        ("amqp://u:S3CR3T@h/?heartbeat=5", "options are settings of their own"),
    ],
)
def test_a_wrong_url_is_refused_with_a_reason_that_quotes_nothing_of_it(
    url: str, reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason) as raised:
        settings(url=url)

    assert "S3CR" not in str(raised.value)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"resume": "tail", "lock": False}, "needs the lock"),
        ({"resume": "tail", "queue_arguments": {"x-queue-type": "quorum"}}, "rabbitmq-stream"),
        ({"resume": "tail", "queue_arguments": {"x-overflow": "reject-publish"}}, "refuses some"),
        ({"verify": False}, "begin it with amqps://"),
        ({"key_file": __file__, "url": "amqps://h/"}, "certificate_file is not"),
        ({"ca_file": "/nowhere.pem", "url": "amqps://h/"}, "does not point to a file"),
        ({"app_id": "ü" * 128}, "more than 255 bytes"),
        ({"window": 0}, "greater than or equal to 1"),
        ({"no_progress_timeout": 0}, "greater than 0"),
        ({"windw": 1}, "windw"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        settings(**values)


def test_a_ca_file_without_tls_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    with pytest.raises(ValidationError, match="begin it with amqps://"):
        settings(ca_file=tmp_path / "ca.pem")


def test_every_setting_says_what_it_is() -> None:
    undescribed = [
        name for name, field in RabbitMQSettings.model_fields.items() if not field.description
    ]
    assert undescribed == []


def test_no_password_shows_in_settings_or_address() -> None:
    shown = settings(url="amqp://u:S3CR3T@h/")
    assert shown.address.password.get_secret_value() == "S3CR3T"

    assert "S3CR3T" not in repr(shown) + str(shown) + repr(shown.address) + str(shown.address)
    assert "S3CR3T" not in shown.model_dump_json()


def test_the_plugin_and_its_settings_need_no_brokers_library() -> None:
    code = (
        "import sys, tidings_rabbitmq.plugin as plugin\n"
        "spec, = plugin.tidings_backends()\n"
        "settings = spec.settings(url='amqps://h/')\n"
        "assert not {'pika', 'rstream', 'ssl'} & set(sys.modules) - set(before), 'imported'\n"
        "from tidings.plugins.kinds import PRODUCER\n"
        "from tidings.plugins.registry import PluginRegistry\n"
        "PluginRegistry().build(PRODUCER, spec, settings)\n"
        "assert 'pika' in sys.modules\n"
    )
    before = "import sys, pydantic, tidings.plugins\nbefore = set(sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", before + code], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"bindings": ["a"]}, "an exchange_type = 'fanout' knows no routing keys to bind with"),
        ({"queues": {"q": ["a"]}, "exchange_type": "headers"}, "knows no routing keys to bind"),
        ({"exchange_type": "direct"}, "say with bindings which routing keys the queues are for"),
        ({"exchange_type": "direct", "queues": ["q"]}, "say with bindings which routing keys"),
        ({"resume": "tail", "topology": "none"}, "leave topology at 'declare'"),
        ({"resume": "tail", "exchange_type": "direct", "bindings": ["a"]}, "needs every message"),
        ({"resume": "tail", "exchange_type": "headers"}, "needs every message"),
        ({"queues": [""]}, "a queue's name is empty"),
        ({"queues": ["x" * 256]}, "at most 255 characters"),
        ({"exchange_type": "topic", "bindings": []}, "at least 1 item"),
    ],
)
def test_routing_that_cannot_be_is_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        settings(**values)


def test_queues_may_be_a_list_and_need_keys_only_where_there_is_no_word_for_all() -> None:
    direct = {"exchange_type": "direct"}

    assert settings().wanted("x") == {"x": ["x"]}
    assert settings(exchange_type="topic").wanted("x") == {"x": ["#"]}
    assert settings(exchange_type="topic", bindings=["a"]).wanted("x") == {"x": ["a"]}
    assert settings(exchange_type="topic", queues=["q"]).wanted("x") == {"q": ["#"]}
    assert settings(**direct, queues={"q": ["b"]}).wanted("x") == {"q": ["b"]}
    assert settings(**direct, queues=[]).wanted("x") == {}
    assert settings(**direct, topology="none").wanted("x") == {"x": []}
