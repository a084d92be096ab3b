"""A serializer and an observer, as docs/write-a-plugin.md shows them."""

from __future__ import annotations

import json
from typing import NoReturn

from pydantic import Field

from tidings.plugins import (
    NotificationMessage,
    Observer,
    ObserverSpec,
    Serializer,
    SerializerSpec,
    Settings,
    StoredEvent,
    hookimpl,
)


class IndentedSettings(Settings):
    """What ``[serializers.<name>]`` may say for ``indented``."""

    indent: int = Field(default=2, ge=0, description="By how many spaces each level is indented.")


class IndentedSerializer(Serializer):
    def __init__(self, settings: IndentedSettings) -> None:
        self._indent = settings.indent

    def serialize(self, event: StoredEvent) -> NotificationMessage:
        body = json.loads(event.body, parse_constant=_refuse)
        text = json.dumps(body, indent=self._indent, ensure_ascii=False)
        headers = {"aggregate_id": event.aggregate_id, "metadata": event.metadata}
        given = {name: value for name, value in headers.items() if value is not None}
        return NotificationMessage(text.encode(), "application/json", given)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


@hookimpl
def tidings_serializers() -> list[SerializerSpec]:
    """Offer the serializer."""
    return [
        SerializerSpec(
            name="indented", api=1, settings=IndentedSettings, factory=IndentedSerializer
        )
    ]


class CountingSettings(Settings):
    """What ``[observers.<name>]`` may say for ``counting``."""


class CountingObserver(Observer):
    def __init__(self, settings: CountingSettings) -> None:
        self.published_so_far: dict[str, int] = {}

    def published(self, exchange_name: str, count: int, last_event_id: int) -> None:
        before = self.published_so_far.get(exchange_name, 0)
        self.published_so_far[exchange_name] = before + count


@hookimpl
def tidings_observers() -> list[ObserverSpec]:
    """Offer the observer."""
    return [
        ObserverSpec(name="counting", api=1, settings=CountingSettings, factory=CountingObserver)
    ]
