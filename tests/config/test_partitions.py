"""An exchange that is parted: read and checked with the configuration."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.config.conftest import MEMORY
from tidings import (
    ConfigurationError,
    InMemoryConsumer,
    InMemoryProducer,
    NewEvent,
    Tidings,
    partition_of,
)
from tidings.builtin import plugin
from tidings.plugins import BackendSpec, Capability, ExchangeContext, hookimpl
from tidings.plugins.registry import PluginRegistry
from tidings.relay.notification_service import NotificationService

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.config.conftest import Load, Problems
    from tidings.interfaces import OpenExchange


EXCHANGE = MEMORY + '[exchanges.shop]\nproducer = "memory"\n'
PARTED = EXCHANGE + 'partition_by = "aggregate_id"\npartitions = 8\n'
IDS = ["order-1", "order-2", "order-3", "order-1", None]


def publish(tidings: Tidings, exchange_name: str = "shop") -> None:
    store = tidings.event_store(exchange_name)
    with store.transaction() as transaction:
        store.append(transaction, *(NewEvent("Paid", 1, aggregate_id=each) for each in IDS))
    tidings.notification_service(exchange_name).publish_notifications(exchange_name)


def test_each_message_is_sent_to_the_partition_of_its_key(load: Load) -> None:
    tidings = load(PARTED)
    producer = tidings.route("shop").producer
    assert isinstance(producer, InMemoryProducer)

    publish(tidings)

    arrived = producer.broker.messages("shop")
    wanted = [partition_of(each, 8) if each else 0 for each in IDS]
    assert [each.partition for each in arrived] == wanted
    assert len(set(wanted)) > 1


def test_a_subscriber_says_which_partitions_it_wants(load: Load) -> None:
    tidings = load(PARTED.replace("shop", "chosen"))
    publish(tidings, "chosen")
    wanted = partition_of("order-1", 8)
    consumer = tidings.consumer("chosen", "choosy", partitions=[wanted])
    consumer.open("chosen")

    received = []
    while message := consumer.receive(0):
        received.append(int(message.message_id) - 1)

    assert received == [n for n, each in enumerate(IDS) if partition_of(each or "", 8) == wanted]
    assert received not in ([], [*range(len(IDS))])
    consumer.close()


def test_everything_wrong_with_it_is_told_with_the_keys_path(problems: Problems) -> None:
    assert problems(
        EXCHANGE + 'partition_by = "aggregate"\npartitions = 8\n'
        '[exchanges.b]\nproducer = "memory"\npartition_by = "type_name"\n'
        '[exchanges.c]\nproducer = "memory"\npartitions = 8\n'
        '[exchanges.d]\nproducer = "memory"\npartition_by = "type_name"\npartitions = 0\n'
        '[exchanges.e]\nproducer = "memory"\n[exchanges.e.headers]\npartition = "type_name"\n'
    ) == [
        (
            "exchanges.shop.partition_by: 'aggregate' is no field of an event; there are "
            "type_name, aggregate_id and metadata.NAME."
        ),
        "exchanges.b: partition_by is set and partitions is not; set both, or neither.",
        "exchanges.c: partitions is set and partition_by is not; set both, or neither.",
        "exchanges.d.partitions: Input should be greater than or equal to 1.",
        (
            "exchanges.e.headers.partition: 'partition' is a header that tidings sets itself; "
            "choose another name."
        ),
    ]


class Opened(InMemoryProducer):
    """Keeps what it is opened with."""

    contexts: list[ExchangeContext]

    @override
    def open_exchange(self, context: ExchangeContext) -> OpenExchange:
        self.contexts = [*vars(self).get("contexts", []), context]
        return super().open_exchange(context)


class Whole(InMemoryProducer):
    capabilities = InMemoryProducer.capabilities - {Capability.PARTITIONS}


@hookimpl
def tidings_backends() -> Sequence[BackendSpec]:
    """Offer producers beside the builtin ones."""

    made = {"memory": Opened, "whole": Whole}
    return [
        BackendSpec(
            name=name, settings=plugin.MemorySettings, producer=lambda _settings, kind=kind: kind()
        )
        for name, kind in made.items()
    ]


@pytest.fixture
def registry() -> PluginRegistry:
    builtin = ModuleType("with_others")
    vars(builtin).update(vars(plugin) | {"tidings_backends": tidings_backends})
    return PluginRegistry(builtin)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (EXCHANGE, (0, "")),
        (PARTED, (8, "aggregate_id")),
        (PARTED.replace("aggregate_id", "metadata.tenant:none"), (8, "metadata.tenant:none")),
    ],
)
def test_a_producer_is_told_how_many_partitions_there_are_and_by_what(
    tmp_path: Path, registry: PluginRegistry, text: str, told: tuple[int, str]
) -> None:
    path = tmp_path / "tidings.toml"
    path.write_text(text)
    route = Tidings.from_file(path, registry=registry).route("shop")

    NotificationService(route).publish_notifications("shop")

    producer = route.producer
    assert isinstance(producer, Opened)
    assert [(each.partitions, each.partition_by) for each in producer.contexts] == [told]


def test_a_producer_without_partitions_is_refused_with_a_sentence(
    tmp_path: Path, registry: PluginRegistry
) -> None:
    path = tmp_path / "tidings.toml"
    path.write_text(EXCHANGE.replace('producer = "memory"', 'producer = "whole"'))
    Tidings.from_file(path, registry=registry)
    path.write_text(PARTED.replace('producer = "memory"', 'producer = "whole"'))

    with pytest.raises(ConfigurationError) as caught:
        Tidings.from_file(path, registry=registry)

    assert caught.value.problems == [
        (
            "exchanges.shop.partition_by: the producer 'whole' has no partitions. Leave it and "
            "partitions out, or choose another one."
        )
    ]


@pytest.mark.parametrize(
    ("text", "partitions", "problem"),
    [
        (
            EXCHANGE,
            [1],
            "it has no partitions to choose from: set partition_by and partitions",
        ),
        (PARTED, [0, 8], "its partitions are 0 to 7"),
        (PARTED, [-1], "its partitions are 0 to 7"),
    ],
)
def test_partitions_that_are_none_cannot_be_chosen(
    load: Load, text: str, partitions: list[int], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(text).consumer("shop", "choosy", partitions=partitions)

    assert str(caught.value) == f"Exchange 'shop': {problem}."


def test_a_consumer_that_cannot_choose_is_told_so(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InMemoryConsumer, "capabilities", frozenset())
    tidings = load(PARTED)

    with pytest.raises(ConfigurationError) as caught:
        tidings.consumer("shop", "choosy", partitions=[1])

    assert str(caught.value) == (
        "Exchange 'shop': a subscriber of 'memory' cannot choose partitions."
    )
    assert isinstance(tidings.consumer("shop", "choosy"), InMemoryConsumer), "whole, as it is"
