"""Fields of an event, and texts with such fields in them, as a configuration names them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from tidings.event import StoredEvent

OWN: Final = ("type_name", "aggregate_id")
METADATA: Final = "metadata."
KEPT: Final = 4096
"""Routing keys that are not made anew if their types come again."""

# A doubled brace, a field in braces, a brace that is neither, or the text between them.
_PIECES: Final = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<field>[^{}]*)\}|(?P<odd>[{}])|[^{}]+")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event: ``type_name``, ``aggregate_id`` or ``metadata.NAME``."""

    name: str
    default: str | None = None
    """What stands for it if an event lacks it."""
    key: str = field(init=False, repr=False)
    """Its name in the metadata."""

    def __post_init__(self) -> None:
        """Find the key once, and not for each event."""
        object.__setattr__(self, "key", self.name.removeprefix(METADATA))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the field of ``name`` or ``name:default``; ``ValueError`` if there is none."""
        name, colon, default = text.partition(":")
        if name not in OWN and not (name.startswith(METADATA) and name != METADATA):
            raise ValueError(
                f"{name!r} is no field of an event; there are type_name, aggregate_id and "
                "metadata.NAME"
            )
        return cls(name, default if colon else None)

    @override
    def __str__(self) -> str:
        """Return what :meth:`parse` takes."""
        return self.name if self.default is None else f"{self.name}:{self.default}"

    @property
    def is_metadata(self) -> bool:
        """Whether the event's metadata must be read for it."""
        return self.name.startswith(METADATA)

    def of(self, event: StoredEvent, metadata: Mapping[str, Any]) -> str | None:
        """Return the event's value as text, else the default, else ``None``.

        ``metadata`` is the event's, read. Numbers, ``true`` and ``false`` become what JSON calls
        them. Raises ``ValueError`` for what is a list or an object.
        """
        name = self.name
        value: Any
        if name == "type_name":
            value = event.type_name
        elif name == "aggregate_id":
            value = event.aggregate_id or None
        else:
            value = metadata.get(self.key)
        if type(value) is str:
            return value
        return self.default if value is None else self._as_text(value)

    def _as_text(self, value: object) -> str:
        if isinstance(value, dict | list):
            kind = "an object" if isinstance(value, dict) else "a list"
            raise ValueError(f"its {self.name} is {kind}; a text or a number is wanted")  # noqa: TRY004 - of the event, not of the call
        return json.dumps(value)


@dataclass(frozen=True, slots=True)
class Template:
    """A text with fields of an event in it: ``shop.{type_name}``.

    ``{metadata.tenant:unknown}`` is ``unknown`` for an event that lacks the field; doubled braces
    stand for themselves.
    """

    parts: tuple[str | Field, ...]
    _of_types: dict[str, str] | None = field(init=False, repr=False, compare=False)
    """What was made of types, if nothing else of an event decides about it: they come again."""
    _around: tuple[str, str] | None = field(init=False, repr=False, compare=False)
    """What stands before and behind the aggregate's id, if that is the only field."""

    def __post_init__(self) -> None:
        """See once whether the type alone decides, or the aggregate alone."""
        fields = [part.name for part in self.parts if isinstance(part, Field)]
        of_type = all(name == "type_name" for name in fields)
        object.__setattr__(self, "_of_types", {} if of_type else None)
        around = self._texts_around_it() if fields == ["aggregate_id"] else None
        object.__setattr__(self, "_around", around)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the template; ``ValueError`` with a reason for a person if it is none."""
        if not text:
            raise ValueError("is empty; leave it out, or write a text")
        parts: list[str | Field] = []
        for piece in _PIECES.finditer(text):
            if piece["odd"]:
                what = "opens" if piece["odd"] == "{" else "closes"
                raise ValueError(
                    f"a brace {what} at character {piece.start() + 1} of {text!r} without its "
                    "other half; double it if it stands for itself"
                )
            if piece["field"] is not None:
                parts.append(Field.parse(piece["field"]))
            else:
                parts.append(piece[0][0] if piece["brace"] else piece[0])
        return cls(tuple(parts))

    @property
    def is_of_metadata(self) -> bool:
        """Whether the event's metadata must be read for it."""
        return any(isinstance(part, Field) and part.is_metadata for part in self.parts)

    def of(self, event: StoredEvent, metadata: Mapping[str, Any]) -> str:
        """Return the text for an event; ``ValueError`` if it lacks a field without a default."""
        if self._around is not None and (aggregate_id := event.aggregate_id):
            return self._around[0] + aggregate_id + self._around[1]
        known = self._of_types
        if known is not None and (text := known.get(event.type_name)) is not None:
            return text
        text = ""
        for part in self.parts:
            value = part if type(part) is str else part.of(event, metadata)  # type: ignore[union-attr]  # faster than isinstance
            if value is None:
                raise _lacks(part)
            text += value
        if known is not None:
            if len(known) >= KEPT:
                known.clear()  # those that come again are made again
            known[event.type_name] = text
        return text

    def _texts_around_it(self) -> tuple[str, str]:
        texts = [part if isinstance(part, str) else None for part in self.parts]
        place = texts.index(None)
        return "".join(filter(None, texts[:place])), "".join(filter(None, texts[place + 1 :]))


def check_template(text: str) -> str:
    """Return ``text`` if it is a template, else raise ``ValueError``."""
    Template.parse(text)
    return text


def check_field(text: str) -> str:
    """Return ``text`` if it names a field, else raise ``ValueError``."""
    Field.parse(text)
    return text


def _lacks(part: str | Field) -> ValueError:
    name = getattr(part, "name", "")
    return ValueError(f"it lacks {name}. A default, {{{name}:unknown}}, would stand for it")
