"""Where an exchange's messages go: read and checked with the configuration."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from tests.config.conftest import MEMORY
from tidings import ConfigurationError, InMemoryProducer, NewEvent, Tidings
from tidings.builtin import plugin
from tidings.plugins import BackendSpec, Capability, hookimpl
from tidings.plugins.registry import PluginRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.config.conftest import Load, Problems


EXCHANGE = MEMORY + '[exchanges.shop]\nproducer = "memory"\n'


def test_a_routing_key_and_headers_are_put_on_what_is_sent(load: Load) -> None:
    tidings = load(
        EXCHANGE + 'routing_key = "shop.{metadata.tenant:nobody}.{type_name}"\n'
        'headers = { tenant = "metadata.tenant" }\n'
    )
    producer = tidings.route("shop").producer
    assert isinstance(producer, InMemoryProducer)
    before = len(producer.broker.messages("shop"))
    store = tidings.event_store("shop")
    with store.transaction() as transaction:
        new = [NewEvent("Paid", 1, metadata={"tenant": "acme"}), NewEvent("Paid", 2)]
        store.append(transaction, *new)

    tidings.notification_service("shop").publish_notifications("shop")

    arrived = producer.broker.messages("shop")[before:][-2:]
    assert [each.routing_key for each in arrived] == ["shop.acme.Paid", "shop.nobody.Paid"]
    assert [each.headers.get("tenant") for each in arrived] == ["acme", None]


def test_everything_wrong_with_it_is_told_with_the_keys_path(problems: Problems) -> None:
    assert problems(
        EXCHANGE + 'routing_key = "shop.{typ_name}"\n[exchanges.b]\nproducer = "memory"\n'
        'routing_key = "shop.{type_name"\n[exchanges.b.headers]\ntenant = "metadta.tenant"\n'
        'traceparent = "metadata.trace"\n"a b" = "type_name"\n'
    ) == [
        (
            "exchanges.shop.routing_key: 'typ_name' is no field of an event; there are type_name, "
            "aggregate_id and metadata.NAME."
        ),
        (
            "exchanges.b.routing_key: a brace opens at character 6 of 'shop.{type_name' without "
            "its other half; double it if it stands for itself."
        ),
        (
            "exchanges.b.headers.tenant: 'metadta.tenant' is no field of an event; there are "
            "type_name, aggregate_id and metadata.NAME."
        ),
        (
            "exchanges.b.headers.traceparent: 'traceparent' is a header that tidings sets itself; "
            "choose another name."
        ),
        (
            "exchanges.b.headers.\"a b\": 'a b' is no header's name: 1 to 127 letters, digits, "
            "dashes or underscores, and no digit or dash first."
        ),
    ]


class Mute(InMemoryProducer):
    capabilities = InMemoryProducer.capabilities - {Capability.ROUTING}


@hookimpl
def tidings_backends() -> Sequence[BackendSpec]:
    """Offer a producer that knows no routing keys."""

    return [
        BackendSpec(
            name="memory", settings=plugin.MemorySettings, producer=lambda _settings: Mute()
        )
    ]


def test_a_producer_without_routing_keys_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "tidings.toml"
    path.write_text(EXCHANGE)
    builtin = ModuleType("without_routing")
    vars(builtin).update(vars(plugin) | {"tidings_backends": tidings_backends})
    registry = PluginRegistry(builtin)
    Tidings.from_file(path, registry=registry)
    path.write_text(EXCHANGE + 'routing_key = "{type_name}"\n')

    with pytest.raises(ConfigurationError) as caught:
        Tidings.from_file(path, registry=registry)

    assert caught.value.problems == [
        (
            "exchanges.shop.routing_key: the producer 'memory' has no routing keys, at least "
            "with its settings. Leave it out, or choose another producer."
        )
    ]


def test_a_subscriber_says_which_keys_it_wants(load: Load) -> None:
    tidings = load(EXCHANGE + 'routing_key = "{type_name}"\n')
    store = tidings.event_store("shop")
    with store.transaction() as transaction:
        store.append(transaction, NewEvent("wanted.One", 1), NewEvent("Other", 1))
    tidings.notification_service("shop").publish_notifications("shop")
    consumer = tidings.consumer("shop", "choosy", ["wanted.*"])
    consumer.open("shop")

    message = consumer.receive(0)
    assert message
    assert message.type_name == "wanted.One"
    assert consumer.receive(0) is None
    consumer.close()


def test_where_it_cannot_choose_that_is_an_error(load: Load) -> None:
    tidings = load(
        MEMORY + '[exchanges.shop]\nproducer = "activemq"\n'
        '[producers.activemq]\nurl = "stomp://localhost:61613"\n'
    )

    with pytest.raises(ConfigurationError) as caught:
        tidings.consumer("shop", None, ["wanted.*"])

    assert str(caught.value) == (
        "Exchange 'shop': a subscriber of 'activemq' gets every event; it cannot choose "
        "by routing key."
    )
