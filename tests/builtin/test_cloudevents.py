"""CloudEvents: the contract, the specification, and what the CloudEvents SDK reads back."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from cloudevents.core.bindings.amqp import AMQPMessage, from_amqp
from cloudevents.core.formats.json import JSONFormat
from pydantic import ValidationError
from typing_extensions import override

from tests.command import Project
from tidings.builtin.cloudevents import CloudEventsSerializer, CloudEventsSettings
from tidings.event import StoredEvent
from tidings.interfaces import NotificationMessage
from tidings.testing import SerializerContract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cloudevents.core.base import BaseCloudEvent

    from tidings.interfaces import Serializer

SOURCE = "https://shop.example.com/orders"

EVENT = StoredEvent(
    event_id=7,
    type_name="OrderPlaced",
    body='{"price": 1.10, "large": 12345678901234567890.123, "a": "\\u00fc"}',
    occurred_on=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    aggregate_id="order-1",
    metadata='{"correlation_id":"c-1","retries":3,"test":false,"user":null,"ratio":0.10}',
)

MODES = pytest.mark.parametrize("mode", ["structured", "binary"])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Give a folder with tables, and a configuration that chooses CloudEvents."""
    project = Project(tmp_path)
    project.configure("""
[event_store]
url = "sqlite:///events.db"

[exchanges.orders]
producer = "jsonlines"
serializer = "cloudevents"

[serializers.cloudevents]
source = "/shop"

[producers.jsonlines]
path = "{exchange}.jsonl"
""")
    project.succeed("init", "--tables")
    return project


def serialize(event: StoredEvent = EVENT, **settings: Any) -> NotificationMessage:
    return CloudEventsSerializer(CloudEventsSettings(source=SOURCE, **settings)).serialize(event)


def read_by_sdk(message: NotificationMessage) -> BaseCloudEvent:
    received = AMQPMessage(
        {"content-type": message.content_type}, dict(message.headers), message.body
    )
    return from_amqp(received, JSONFormat())


class OfCloudEvents(SerializerContract):
    plugin_module, backend = "tidings.builtin.plugin", "cloudevents"

    @pytest.fixture
    @override
    def make_serializer(self, settings: Mapping[str, Any]) -> Callable[[], Serializer]:
        return lambda: CloudEventsSerializer(CloudEventsSettings(**settings))


class TestStructuredCloudEvents(OfCloudEvents):
    @pytest.fixture
    @override
    def settings(self) -> Mapping[str, Any]:
        return {"source": SOURCE}


class TestBinaryCloudEvents(OfCloudEvents):
    @pytest.fixture
    @override
    def settings(self) -> Mapping[str, Any]:
        return {"source": SOURCE, "mode": "binary"}


@MODES
def test_the_sdk_reads_every_attribute_and_the_data(mode: str) -> None:
    extensions = {"correlationid": "correlation_id"}
    message = serialize(mode=mode, type_prefix="com.example.", extensions=extensions)
    read = read_by_sdk(message)

    assert read.get_attributes() == {
        "specversion": "1.0",
        "id": "7",
        "source": SOURCE,
        "type": "com.example.OrderPlaced",
        "time": EVENT.occurred_on,
        "subject": "order-1",
        "datacontenttype": "application/json",
        "correlationid": "c-1",
        "metadata": EVENT.metadata,
    }
    assert read.get_data() == json.loads(EVENT.body)


@MODES
def test_the_trace_context_is_the_extension_of_that_name(mode: str) -> None:
    metadata = {"traceparent": "00-1-2-01", "tracestate": "a=1", "baggage": "k=v"}
    event = EVENT._replace(metadata=json.dumps(metadata))

    found = read_by_sdk(serialize(event, mode=mode)).get_attributes()
    assert (found["traceparent"], found["tracestate"]) == ("00-1-2-01", "a=1")
    assert "baggage" not in found


@MODES
@pytest.mark.parametrize("value", [None, 7, ["x"], "", "a\nb"])
def test_a_trace_context_that_is_none_is_left_out(mode: str, value: object) -> None:
    event = EVENT._replace(metadata=json.dumps({"traceparent": value}))

    assert "traceparent" not in read_by_sdk(serialize(event, mode=mode)).get_attributes()


def test_an_extension_that_is_configured_comes_before_the_events_own_trace() -> None:
    event = EVENT._replace(metadata='{"traceparent":"its own","trace":"ours"}')

    found = json.loads(serialize(event, extensions={"traceparent": "trace"}).body)
    assert found["traceparent"] == "ours"


@MODES
def test_what_the_event_has_not_is_left_out(mode: str) -> None:
    message = serialize(EVENT._replace(aggregate_id=None, metadata=None), mode=mode)

    found = set(read_by_sdk(message).get_attributes())
    assert found == {"specversion", "id", "source", "type", "time", "datacontenttype"}


def test_structured_mode_is_the_json_format_and_has_no_headers() -> None:
    message = serialize()

    assert message.content_type == "application/cloudevents+json"
    assert message.headers == {}
    assert json.loads(message.body)["data"] == json.loads(EVENT.body)
    assert json.loads(message.body)["time"] == "2026-01-02T03:04:05.000006Z"


@pytest.mark.parametrize("body", [EVENT.body, "null", "[]", '"text"', "1.10", ' {"a": 1}\n'])
def test_no_byte_of_the_stored_body_is_changed(body: str) -> None:
    event = EVENT._replace(body=body)

    assert serialize(event, mode="binary").body == body.encode()
    structured = serialize(event).body
    assert structured.endswith(b',"data":' + body.encode() + b"}")
    assert json.loads(structured)["data"] == json.loads(body)


def test_binary_mode_names_headers_as_the_amqp_binding_does() -> None:
    headers = serialize(mode="binary", extensions={"retries": "retries", "test": "test"}).headers

    assert dict(headers) == {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": "7",
        "cloudEvents_source": SOURCE,
        "cloudEvents_type": "OrderPlaced",
        "cloudEvents_time": "2026-01-02T03:04:05.000006Z",
        "cloudEvents_subject": "order-1",
        "cloudEvents_retries": "3",
        "cloudEvents_test": "false",
        "cloudEvents_metadata": EVENT.metadata,
    }


def test_one_message_has_one_separator() -> None:
    message = serialize(mode="binary", header_prefix="cloudEvents:")

    assert all(name.startswith("cloudEvents:") for name in message.headers)
    assert read_by_sdk(message).get_id() == "7"


def test_a_structured_extension_keeps_its_type() -> None:
    message = serialize(extensions={"retries": "retries", "test": "test", "user": "user"})

    found = json.loads(message.body)
    assert (found["retries"], found["test"]) == (3, False)
    assert "user" not in found, "null is as good as unset"


def test_a_time_in_another_zone_is_the_same_moment() -> None:
    there = EVENT.occurred_on.astimezone(timezone(timedelta(hours=14)))

    assert serialize(EVENT._replace(occurred_on=there)) == serialize()


@MODES
def test_metadata_that_no_attribute_can_hold_is_escaped(mode: str) -> None:
    metadata = '{\n "a": "b\uffff\x7f",\n "c": "\U0001f389"}'
    read = read_by_sdk(serialize(EVENT._replace(metadata=metadata), mode=mode))

    carried = read.get_extension("metadata")
    assert carried.isascii()
    assert carried.isprintable()
    assert json.loads(carried) == json.loads(metadata)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (EVENT._replace(type_name=""), "need a type"),
        (EVENT._replace(type_name="Order\nPlaced"), r"no character '\\n' in type"),
        (EVENT._replace(aggregate_id="a\ufdd0"), "in subject"),
        (EVENT._replace(aggregate_id="a\U0010ffff"), "in subject"),
        (EVENT._replace(metadata="[1]"), "no JSON object"),
        (EVENT._replace(metadata='{"x": {"a": 1}}'), "extension x"),
        (EVENT._replace(metadata='{"x": 2147483648}'), "32 bits"),
        (EVENT._replace(metadata='{"x": 1.5}'), "extension x"),
        (EVENT._replace(metadata='{"x": "\\u0007"}'), "in x"),
        (EVENT._replace(metadata='{"x": ""}'), "need a x"),
    ],
)
@MODES
def test_what_cannot_be_a_cloudevent_is_refused_with_its_reason(
    event: StoredEvent, reason: str, mode: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        serialize(event, mode=mode, extensions={"x": "x"})


@pytest.mark.parametrize(
    "source",
    [
        "https://shop.example.com/orders?tenant=1#a",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "mailto:cncf-wg-serverless@lists.cncf.io",
        "/sensors/tn-1234567/alerts",
        "1-555-123-4567",
        "http://[2001:db8::7]/c=GB",
        "/caf%C3%A9",
    ],
)
def test_the_sources_that_the_specification_shows_are_taken(source: str) -> None:
    assert CloudEventsSettings(source=source).source == source


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"source": ""},
        {"source": "my shop"},
        {"source": "/café"},
        {"source": "/a%zz"},
        {"source": "/a#b#c"},
        {"source": "1a:b"},
        {"source": "http://[::1"},
        {"source": SOURCE, "mode": "batch"},
        {"source": SOURCE, "header_prefix": "ce-"},
        {"source": SOURCE, "type_prefix": "com.example.\n"},
        {"source": SOURCE, "extensions": {"correlation_id": "a"}},
        {"source": SOURCE, "extensions": {"Trace": "a"}},
        {"source": SOURCE, "extensions": {"subject": "a"}},
        {"source": SOURCE, "extensions": {"metadata": "a"}},
    ],
)
def test_settings_against_the_specification_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CloudEventsSettings(**settings)


def test_one_word_of_the_configuration_chooses_it(project: Project) -> None:
    project.append({"type_name": "OrderPlaced", "body": {"n": 1}, "aggregate_id": "order-1"})
    project.succeed("spread")

    (line,) = (project.folder / "orders.jsonl").read_text().splitlines()
    event = json.loads(line)["body"]
    assert (event["source"], event["type"], event["subject"]) == ("/shop", "OrderPlaced", "order-1")
    assert event["data"] == {"n": 1}


def test_a_source_that_is_none_is_named_by_its_key(project: Project) -> None:
    result = project.run("check", TIDINGS_SERIALIZERS__CLOUDEVENTS__SOURCE="not a URI")

    assert result.code != 0
    assert "serializers.cloudevents.source: must be a URI reference" in result.out + result.err


@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:"])
@pytest.mark.parametrize("broker", ["rabbitmq", "activemq"])
def test_attributes_in_headers_survive_the_broker(
    tmp_path: Path, request: pytest.FixtureRequest, broker: str, prefix: str
) -> None:
    exchange_name = f"cloud-{uuid.uuid4().hex[:12]}"
    project = Project(tmp_path)
    project.configure(f"""
[event_store]
url = "sqlite:///events.db"

[exchanges.{exchange_name}]
producer = "{broker}"
serializer = "cloudevents"

[serializers.cloudevents]
source = "{SOURCE}"
mode = "binary"
header_prefix = "{prefix}"

[producers.{broker}]
url = "{request.getfixturevalue(broker).url}"
""")
    project.succeed("init", "--tables")
    project.append({"type_name": "OrderPlaced", "body": {"n": 1}, "aggregate_id": "Ü: 1"})
    project.succeed("spread")

    (line,) = project.succeed("listen", "--count", "1", "--timeout", "30").lines
    body = json.dumps(line["body"]).encode()
    read = read_by_sdk(NotificationMessage(body, "application/json", line["headers"]))
    assert all(name.startswith(prefix) for name in line["headers"])
    assert (read.get_id(), read.get_source(), read.get_subject()) == ("1", SOURCE, "Ü: 1")
    assert read.get_time() == datetime.fromisoformat(line["occurred_on"])
    assert read.get_data() == {"n": 1}
