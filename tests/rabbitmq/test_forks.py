"""A fork of a process that has an exchange open ends, and harms nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from tidings.testing import samples
from tidings_rabbitmq.consumer import RabbitMQConsumer
from tidings_rabbitmq.producer import RabbitMQProducer
from tidings_rabbitmq.settings import RabbitMQSettings
from tidings_rabbitmq.stream.consumer import RabbitMQStreamConsumer
from tidings_rabbitmq.stream.producer import RabbitMQStreamProducer
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

if TYPE_CHECKING:
    from tests.servers.given import StreamBroker
    from tidings.plugins import MessageConsumer, MessageProducer

Parts = tuple["MessageProducer", "MessageConsumer"]


@pytest.fixture(params=["rabbitmq", "rabbitmq-stream"])
def parts(rabbitmq: StreamBroker, request: pytest.FixtureRequest) -> Parts:
    if request.param == "rabbitmq":
        settings = RabbitMQSettings(url=SecretStr(rabbitmq.url))
        return RabbitMQProducer(settings), RabbitMQConsumer(settings, None)
    stream = RabbitMQStreamSettings(url=SecretStr(rabbitmq.stream_url))
    return RabbitMQStreamProducer(stream), RabbitMQStreamConsumer(stream, None)


@pytest.mark.parametrize("ending", ["exit", "close"])
def test_a_fork_of_the_process_ends_and_harms_nothing(
    parts: Parts, exchange: str, ending: str
) -> None:
    producer, consumer = parts
    opened = producer.open(exchange)
    consumer.open(exchange)
    child = os.fork()
    if child == 0:
        if ending == "close":
            producer.close(exchange)
            consumer.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    try:
        opened.send(samples.notifications(1, 1))
        opened.flush(30)
        message = consumer.receive(30)
    finally:
        producer.close(exchange)
        consumer.close()

    assert status == 0
    assert message
    assert message.message_id == "1"
