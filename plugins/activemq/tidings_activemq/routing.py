"""Routing keys on ActiveMQ: a further part of the topic's name, and a header for selectors.

A subscriber's queue is named with ActiveMQ's wildcards, ``Consumer.app.VirtualTopic.X.shop.*``: the
broker copies into it what is sent to each topic that the name stands for. Its ``*`` is a word
between dots as RabbitMQ's is, its ``>`` at the end any number of words, as ``#`` there.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from tidings.plugins import KeyPatterns
from tidings_activemq import characters, destinations

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "routing_key"
PARTITION = "partition"
"""The headers that hold them: names that a selector can hold, too."""

EVERYTHING = ">"


class Wanted(NamedTuple):
    """What a subscriber asks for, in ActiveMQ's words."""

    name: str
    """The last part of the queue's name, with wildcards."""

    more: KeyPatterns | None
    """What to choose by of that which the queue gets; ``None`` if it gets no more than that."""


def wanted(patterns: Sequence[str]) -> Wanted:
    """Return what stands for RabbitMQ's patterns; none of them stand for every key.

    ActiveMQ has no word for several patterns, nor for a ``#`` before the last word. Then the name
    stands for more. ``ValueError``, for a person, if a name cannot hold a pattern's words.
    """
    if not patterns:
        return Wanted(EVERYTHING, None)
    words = [pattern.split(".") for pattern in patterns]
    for pattern, its_words in zip(patterns, words, strict=True):
        plain = ".".join("word" if word in {"*", "#"} else word for word in its_words)
        if reason := destinations.not_in_a_name(plain):
            raise ValueError(f"the routing key {pattern!r} {reason}")
    shared = words[0]
    if len(words) > 1:
        same = takewhile(lambda each: len(set(each)) == 1, zip(*words, strict=False))
        shared = [*(word for word, *_ in same), "#"]
    if "#" not in shared:
        return Wanted(".".join(shared), None)
    end = shared.index("#")
    name = ".".join([*shared[:end], EVERYTHING])
    exact = len(words) == 1 and end == len(shared) - 1
    return Wanted(name, None if exact else KeyPatterns(patterns))


def joined(partition: int | None, name: str) -> str:
    """Return what stands behind an exchange's name: the partition, if there is one, and the key."""
    return ".".join(each for each in ("" if partition is None else str(partition), name) if each)


def key_of(headers: dict[str, str], topic: str) -> str:
    """Take a message's routing key out of its headers; a stranger's stands in its topic's name.

    ``topic`` is what stands there before the key.
    """
    key = headers.pop(KEY, None)
    if key is None:
        sent_to = headers.get("original-destination") or headers.get("destination", "")
        key = sent_to.removeprefix(f"{topic}.") if sent_to.startswith(f"{topic}.") else ""
    return key


def check_key(key: str) -> None:
    """Raise ``ValueError``, with a reason, if a topic's name cannot end with a key."""
    reason = destinations.not_in_a_name(key)
    if characters.has_characters_above(key):
        reason = "has a character above U+FFFF, which ActiveMQ cannot keep in a name"
    if reason:
        raise ValueError(f"its routing key {key!r} {reason}")
