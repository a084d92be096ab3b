"""What an event says of itself comes back out of each broker's store, after a restart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tidings import NewEvent, Tidings
from tidings.plugins import DeliveryError
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import ActiveMQ, RabbitMQ
    from tidings.plugins import MessageConsumer

AGGREGATE = "App\\Order Zoë ☃ 😀"
METADATA = {"who": "Zoë 😀", "path": "C:\\u0041", "lines": "a\nb:c"}

CONFIGURATION = """
[event_store]
url = "sqlite:///{folder}/events.db"
[exchanges.kept]
producer = "{word}"
[producers.{word}]
url = "{url}"
"""


def is_open(consumer: MessageConsumer) -> bool:
    """Try to open; a broker, or its stream's leader, that has just started may not be there yet."""
    try:
        consumer.open("kept")
    except DeliveryError as error:
        if not error.transient:
            raise
        return False
    return True


@pytest.mark.parametrize("word", ["rabbitmq", "rabbitmq-stream", "activemq"])
def test_every_header_comes_back_out_of_the_store(
    own_rabbitmq: Callable[..., RabbitMQ],
    own_activemq: Callable[..., ActiveMQ],
    tmp_path: Path,
    word: str,
) -> None:
    if word == "activemq":
        broker: ActiveMQ | RabbitMQ = own_activemq()
        url = broker.url
    else:
        broker = own_rabbitmq(stream=True)
        url = broker.url if word == "rabbitmq" else broker.stream_url
    file = tmp_path / "tidings.toml"
    file.write_text(CONFIGURATION.format(folder=tmp_path, word=word, url=url))
    with Tidings.from_file(file, environ={}) as tidings:
        store = tidings.event_store()
        store.create()
        event = NewEvent("Bestellt ☃😀", {"a": "😀"}, aggregate_id=AGGREGATE, metadata=METADATA)
        with store.transaction() as transaction:
            store.append(transaction, event)
        store.close()
        tidings.notification_service("kept").publish_notifications("kept")
        broker.restart()
        consumer = tidings.consumer("kept")
        eventually(lambda: is_open(consumer), seconds=60)
        message = consumer.receive(30)
        consumer.close()

    assert message
    assert (message.message_id, message.type_name) == ("1", event.type_name)
    assert message.occurred_on == event.occurred_on
    assert json.loads(message.body) == event.body
    assert message.headers["aggregate_id"] == AGGREGATE
    assert json.loads(message.headers["metadata"]) == METADATA
