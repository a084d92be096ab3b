"""Which events of an exchange a subscriber asks for.

On the wire it is a JSON object. ``keys`` is a list of routing keys, with ``*`` and ``#`` as
RabbitMQ has them; without it every key will do. ``partition`` and ``of`` are one partition, and how
many the exchange has. ``by`` is then a text that the subscriber has drawn for itself. A relay that
hears it over another connection knows that it is the same subscriber.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from tidings.plugins import KeyPatterns
from tidings_zeromq.wire import MAX_SELECTION, WireError

if TYPE_CHECKING:
    from tidings.plugins import NotificationMessage

_KEPT = 1000


Traits = tuple[str, int | None]
"""What of an event a selection looks at: its routing key and its partition."""

_NOWHERE: Traits = ("", None)


def traits_of(message: NotificationMessage) -> Traits:
    """Return what of a message a selection looks at."""
    if message.routing_key or message.partition is not None:
        return message.routing_key, message.partition
    return _NOWHERE


@dataclass(frozen=True)
class Selection:
    """A subscriber's wishes; without any it gets every event."""

    keys: tuple[str, ...] | None = None
    partition: int | None = None
    of: int = 0
    by: str = ""
    _patterns: KeyPatterns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make ready for many events."""
        object.__setattr__(self, "_patterns", KeyPatterns(self.keys or ()))

    def wants(self, traits: Traits) -> bool:
        """Return whether an event with those traits is asked for."""
        routing_key, partition = traits
        if self.partition is not None and partition != self.partition:
            return False
        return self.keys is None or self._patterns.match(routing_key)

    def encode(self) -> str:
        """Return what travels; empty for every event. ``ValueError`` if it is too long for that."""
        wishes: dict[str, object] = {}
        if self.keys is not None:
            wishes["keys"] = self.keys
        if self.partition is not None:
            wishes |= {"partition": self.partition, "of": self.of, "by": self.by}
        if not wishes:
            return ""
        text = json.dumps(wishes, ensure_ascii=False, separators=(",", ":"))
        if (size := len(text.encode())) > MAX_SELECTION:
            raise ValueError(
                f"the routing keys asked for take {size} bytes, and {MAX_SELECTION} travel: ask "
                "for fewer or shorter ones, with wildcards"
            )
        return text


EVERYTHING = Selection()


@lru_cache(maxsize=_KEPT)
def decode_selection(text: str) -> Selection:
    """Return what travelled, or raise :class:`~tidings_zeromq.wire.WireError`."""
    if not text:
        return EVERYTHING
    if len(text.encode()) > MAX_SELECTION:
        raise WireError("a selection that is too long")
    try:
        wishes = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"no selection: {error}") from error
    if not isinstance(wishes, dict):
        raise WireError("no selection")
    keys, partition = wishes.get("keys"), wishes.get("partition")
    if keys is not None and not _are_texts(keys):
        raise WireError("no routing keys")
    asked = None if keys is None else tuple(keys)
    if partition is None:
        return Selection(asked)
    of, by = wishes.get("of"), wishes.get("by", "")
    if type(partition) is not int or type(of) is not int or not 0 <= partition < of:
        raise WireError("no partition")
    return Selection(asked, partition, of, str(by))


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
