"""The suite for serializers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tidings.event import StoredEvent
from tidings.interfaces import NotificationMessage, Serializer
from tidings.plugins.kinds import SERIALIZER
from tidings.testing import samples
from tidings.testing._judging import broken, check
from tidings.testing._kit import short
from tidings.testing._plugin import PluginPromises, missing
from tidings.testing.promises import Serializing

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_JSON = ("", "{", '{"a":', "{'a':1}", "NaN", '{"a":1} {', "[1,]", "\x00")
"""Bodies that a raw SQL insert may have left."""

THREADS = 8


class SerializerContract(PluginPromises):
    """Checks every promise of ``Serializer``.

    In a test module::

        class TestMySerializer(SerializerContract):
            plugin_module, backend = "tidings_mine.plugin", "mine"

            @pytest.fixture
            def make_serializer(self):
                return lambda: MySerializer(MySettings())

    ``plugin_module`` and ``backend``: the module that the entry point names, and its name.
    """

    _kind = SERIALIZER

    @pytest.fixture
    def make_serializer(self) -> Callable[[], Serializer]:
        """Supply this: a function that makes a serializer."""
        raise missing("make_serializer")

    @pytest.fixture
    def serializer(self, make_serializer: Callable[[], Serializer]) -> Serializer:
        return make_serializer()

    @pytest.mark.parametrize("name", samples.EVENTS)
    def test_a_message_is_bytes_and_short_texts(self, serializer: Serializer, name: str) -> None:
        """See that what comes out is ready for any wire."""
        message = serializer.serialize(samples.stored(name))
        check(
            isinstance(message, NotificationMessage),
            Serializing.MESSAGE,
            f"serialize() returned a {type(message).__name__}.",
        )
        check(type(message.body) is bytes, Serializing.MESSAGE, f"body: {short(message.body)}.")
        check(
            isinstance(message.content_type, str)
            and message.content_type.isascii()
            and "/" in message.content_type,
            Serializing.MESSAGE,
            f"content_type is {message.content_type!r}.",
        )
        odd = {
            key: value
            for key, value in message.headers.items()
            if not (isinstance(key, str) and key and isinstance(value, str))
        }
        check(not odd, "headers: Mapping[str, str]", f"Headers that are not texts: {odd}.")

    @pytest.mark.parametrize("name", samples.EVENTS)
    def test_the_same_event_gives_the_same_message(
        self, make_serializer: Callable[[], Serializer], name: str
    ) -> None:
        """See that nothing but the event decides, whatever was serialized before."""
        first, second = make_serializer(), make_serializer()
        event = samples.stored(name)
        wanted = first.serialize(event)
        for other in samples.EVENTS:
            first.serialize(samples.stored(other))
        for what, again in (
            ("the same serializer", first.serialize(StoredEvent(*event))),
            ("another serializer", second.serialize(event)),
        ):
            check(
                again == wanted,
                Serializing.PURE,
                f"The same event gave {short(wanted)} and then, from {what}, {short(again)}.",
            )

    def test_two_events_differ(self, serializer: Serializer) -> None:
        """See that the event's own data is in the message."""
        one, other = samples.stored("metadata"), samples.stored("not ASCII")
        check(
            serializer.serialize(one) != serializer.serialize(other),
            Serializing.MESSAGE,
            "Two different events gave the same message.",
        )

    def test_threads_do_not_disturb_each_other(self, serializer: Serializer) -> None:
        """See that many threads get what one gets."""
        events = [samples.stored(name) for name in samples.EVENTS if name != "largest"]
        wanted = [serializer.serialize(event) for event in events]
        barrier = threading.Barrier(THREADS)
        wrong: list[object] = []

        def serialize() -> None:
            barrier.wait(30)
            try:
                for _ in range(50):
                    found = [serializer.serialize(event) for event in events]
                    if found != wanted:
                        wrong.append("another message than alone")
                        return
            except BaseException as error:  # noqa: BLE001 - shown below
                wrong.append(error)

        threads = [threading.Thread(target=serialize) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        check(not wrong, Serializing.THREADS, f"{THREADS} threads at once: {wrong[:1]}.")

    @pytest.mark.parametrize("body", NOT_JSON)
    def test_a_body_that_is_not_json_is_refused(self, serializer: Serializer, body: str) -> None:
        """See that a broken row stops at the serializer, with a reason."""
        event = samples.stored("least")._replace(body=body)
        try:
            message = serializer.serialize(event)
        except ValueError as error:
            check(str(error).strip(), Serializing.REFUSED, "ValueError without a reason.")
        else:
            broken(Serializing.REFUSED, f"The body {body!r} is not JSON, and gave {message}.")

    @pytest.mark.parametrize("metadata", ["{", "[1", "NaN"])
    def test_metadata_that_is_not_json_is_refused_or_carried(
        self, serializer: Serializer, metadata: str
    ) -> None:
        """See that reading broken metadata raises ``ValueError`` and nothing else."""
        event = samples.stored("least")._replace(metadata=metadata)
        try:
            message = serializer.serialize(event)
        except ValueError:
            return
        check(
            metadata in "".join(message.headers.values()) or metadata.encode() in message.body,
            Serializing.REFUSED,
            f"The metadata {metadata!r} is neither refused nor carried.",
        )
