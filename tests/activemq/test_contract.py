"""The suites that everybody's producers and consumers must pass, on the real broker."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import pytest
from typing_extensions import override

from tests.activemq.client import Client, Frame, escape, queue_of
from tests.activemq.conftest import via as url_via
from tidings.plugins import Capability, Notification, NotificationMessage, ReceivedMessage
from tidings.testing import MakeProducer, MessageConsumerContract, MessageProducerContract
from tidings_activemq.consumer import ActiveMQConsumer
from tidings_activemq.producer import ActiveMQProducer
from tidings_activemq.settings import ActiveMQSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.servers.given import Broker
    from tidings.plugins import MessageConsumer, MessageProducer
    from tidings.testing import MakeConsumer, Publish

OF_THE_BROKER = {
    *("destination", "message-id", "subscription", "ack", "expires", "priority", "persistent"),
    *("timestamp", "redelivered", "original-destination", "content-length"),
}
OF_TIDINGS = {"type", "content-type", "correlation-id", "event-id", "occurred_on"}


class OnTheSessionsBroker:
    """What both suites need to know of the broker."""

    @pytest.fixture
    def server_address(self, activemq: Broker) -> tuple[str, int]:
        parts = urlsplit(activemq.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    @pytest.fixture
    def settings(self, activemq: Broker) -> Mapping[str, Any]:
        return {
            "url": activemq.url,
            "connect_timeout": 2,
            "send_timeout": 2,
            "no_progress_timeout": 2,
            # What has no key is the same without it, but for the queues' names.
            "routing": "topic",
        }

    @pytest.fixture
    def secrets(self, activemq: Broker) -> Sequence[str]:
        return [urlsplit(activemq.url).password or "", "wrong-secret"]


class TestActiveMQConsumer(OnTheSessionsBroker, MessageConsumerContract):
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.ROUTING, Capability.PARTITIONS}
    )
    plugin_module, backend = "tidings_activemq.plugin", "activemq"
    has_login = True

    @pytest.fixture
    @override
    def make_consumer(self, settings: Mapping[str, Any]) -> MakeConsumer:
        def make(via: tuple[str, int] | None = None) -> MessageConsumer:
            url = url_via(settings["url"], *via) if via else settings["url"]
            timeout = {"no_progress_timeout": self.no_progress_seconds}
            return ActiveMQConsumer(ActiveMQSettings(**{**settings, **timeout, "url": url}), None)

        return make

    @pytest.fixture
    @override
    def make_refused_consumer(self, settings: Mapping[str, Any]) -> Callable[[], MessageConsumer]:
        url = settings["url"].replace(":secret@", ":wrong-secret@")
        return lambda: ActiveMQConsumer(ActiveMQSettings(**{**settings, "url": url}), None)

    @pytest.fixture
    @override
    def make_other_consumer(self, settings: Mapping[str, Any]) -> MakeConsumer:
        return lambda via=None: ActiveMQConsumer(ActiveMQSettings(**settings), "audit")

    @pytest.fixture
    @override
    def publish(self, client: Client) -> Publish:
        def publish(exchange_name: str, notifications: Sequence[Notification]) -> None:
            for each in notifications:
                client.request("SEND", *sent_by_hand(exchange_name, each))

        return publish


class TestActiveMQProducer(OnTheSessionsBroker, MessageProducerContract):
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.LOCK,
            Capability.MOST_RECENT_ACCEPTED,
            Capability.OUT_OF_ORDER,
            Capability.WAIT_SETTLES,
            Capability.REMEMBERS_DURABLY,
            Capability.ROUTING,
            Capability.PARTITIONS,
        }
    )
    has_undeliverable = True
    has_login = True
    plugin_module, backend = "tidings_activemq.plugin", "activemq"

    @pytest.fixture
    @override
    def make_producer(self, settings: Mapping[str, Any]) -> MakeProducer:
        def make(via: tuple[str, int] | None = None) -> MessageProducer:
            url = url_via(settings["url"], *via) if via else settings["url"]
            timeout = {"no_progress_timeout": self.no_progress_seconds}
            return ActiveMQProducer(ActiveMQSettings(**{**settings, **timeout, "url": url}))

        return make

    @pytest.fixture
    @override
    def make_refused_producer(self, settings: Mapping[str, Any]) -> Callable[[], MessageProducer]:
        url = settings["url"].replace(":secret@", ":wrong-secret@")
        return lambda: ActiveMQProducer(ActiveMQSettings(**{**settings, "url": url}))

    @pytest.fixture
    @override
    def undeliverable(self) -> Notification:
        message = NotificationMessage(b"{}", "application/json", {"metadata": "x" * 11_000})
        return Notification(message, "OrderPlaced", 1, datetime(2026, 1, 2, tzinfo=UTC))

    @pytest.fixture
    @override
    def read_back(self, client: Client) -> Callable[[str, int], Sequence[ReceivedMessage]]:
        def read(exchange_name: str, count: int) -> Sequence[ReceivedMessage]:
            queue = queue_of(exchange_name)
            parted = {
                name: len(found)
                for partition in range(4)
                if (found := client.browse(name := f"{queue}.{partition}.>"))
            }
            queues = parted or {f"{queue}.>": count}
            return [received(frame) for name in queues for frame in client.read(name, queues[name])]

        return read


def unescaped(frame: Frame) -> dict[str, str]:
    """Undo the escapes of characters above U+FFFF, as the plugin's README tells others to."""
    names = json.loads(frame.headers.pop("tidings-escaped", "[]"))
    escapes = re.compile(r"\\\\|(?:\\u[0-9a-f]{4}){2}")
    return frame.headers | {
        name: escapes.sub(lambda found: json.loads(f'"{found[0]}"'), frame.headers[name])
        for name in names
    }


def received(frame: Frame) -> ReceivedMessage:
    headers = unescaped(frame)
    key = headers.pop("routing_key", "")
    partition = headers.pop("partition", None)
    return ReceivedMessage(
        message_id=headers["event-id"],
        type_name=headers["type"],
        occurred_on=datetime.fromisoformat(headers["occurred_on"]),
        body=frame.body,
        content_type=headers["content-type"],
        headers={k: v for k, v in headers.items() if k not in OF_THE_BROKER | OF_TIDINGS},
        routing_key=key,
        partition=None if partition is None else int(partition),
    )


def sent_by_hand(exchange_name: str, notification: Notification) -> tuple[dict[str, str], bytes]:
    """Return the headers and body that the conventions ask for, made without the plugin."""
    message, type_name, event_id, occurred_on = notification
    headers = {
        **message.headers,
        "type": type_name,
        "event-id": str(event_id),
        "content-type": message.content_type,
        "occurred_on": occurred_on.isoformat(timespec="microseconds"),
    }
    part = ""
    if message.partition is not None:
        part += f".{message.partition}"
        headers |= {"partition": str(message.partition), "JMSXGroupID": str(message.partition)}
    if message.routing_key:
        headers["routing_key"] = message.routing_key
        part += f".{message.routing_key}"
    fixed = {
        "destination": f"/topic/VirtualTopic.{exchange_name}{part}",
        "persistent": "true",
        "content-length": str(len(message.body)),
    }
    return fixed | {key: escape(value) for key, value in headers.items()}, message.body
