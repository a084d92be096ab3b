"""Which of ActiveMQ's destinations belong to an exchange."""

from __future__ import annotations

import re

from tidings.plugins import BrokerRefusedError

# What ActiveMQ reads as wildcards, lists, options, schemes and temporary destinations.
_NOT_IN_A_NAME = re.compile(r"[*>,?/:\\\s\x00-\x1f\x7f]|^\.|\.$|\.\.")
_TEMPORARY = ("ActiveMQ.", "ID.")


TOPIC = "VirtualTopic.{exchange}"
QUEUE = "Consumer.{subscriber}.VirtualTopic.{exchange}"
"""ActiveMQ's own pattern of virtual topics, as it is without configuration."""

TOKEN = "{exchange}.tracker"  # noqa: S105 - no password
"""The queue in which an exchange's token lies: on the broker it does what a tracker does.

Brokers keep tokens under this name. With another one the last event and the lock would be lost.
"""

PROBE = "_probe"
"""Begins with what no exchange's name may begin with."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def topic(exchange_name: str, pattern: str = TOPIC, part: str = "") -> str:
    """Return the virtual topic that an exchange is, or that of a routing key: a ``part`` of it."""
    return f"/topic/{_filled(pattern, exchange=exchange_name)}{_with_dot(part)}"


def subscriber_queue(
    exchange_name: str, subscriber: str, pattern: str = QUEUE, part: str = ""
) -> str:
    """Return the queue that a subscriber of the exchange, or of that part of it, reads."""
    queue = _filled(pattern, exchange=exchange_name, subscriber=subscriber)
    return f"/queue/{queue}{_with_dot(part)}"


def not_in_a_name(text: str) -> str:
    """Say, for a person, why ``text`` cannot be part of a destination's name; empty if it can."""
    if not _NOT_IN_A_NAME.search(text):
        return ""
    return (
        "cannot stand in the name of a topic: the characters * > , ? / : \\, white space and "
        "empty words between dots have a meaning of their own to ActiveMQ"
    )


def check_pattern(pattern: str, *placeholders: str) -> None:
    """Raise ``ValueError`` if a pattern lacks a placeholder, or is no destination's name."""
    if sorted(set(_PLACEHOLDER.findall(pattern))) != sorted(placeholders):
        names = " and ".join(f"{{{name}}}" for name in placeholders)
        raise ValueError(f"must hold {names}, and nothing else in braces")
    filled = _PLACEHOLDER.sub("x", pattern)
    if _NOT_IN_A_NAME.search(filled) or "{" in filled or "}" in filled:
        raise ValueError("is no destination's name: no white space, braces or * > , ? /")


def _with_dot(part: str) -> str:
    return f".{part}" if part else ""


def _filled(pattern: str, **values: str) -> str:
    return _PLACEHOLDER.sub(lambda found: values[found[1]], pattern)


def token_queue(exchange_name: str) -> str:
    """Return the queue in which the exchange's token lies."""
    return f"/queue/{_filled(TOKEN, exchange=exchange_name)}"


def check_exchange_name(exchange_name: str) -> None:
    """Raise :class:`BrokerRefusedError` for a name that would mean something else to ActiveMQ."""
    if not exchange_name or _NOT_IN_A_NAME.search(exchange_name):
        raise BrokerRefusedError(
            f"Exchange {exchange_name!r} cannot be on ActiveMQ: in a destination's name the "
            "characters * > , ? / : \\, white space and empty parts between dots have a meaning "
            "of their own. Give the exchange another name.",
            exchange_name=exchange_name,
        )
    if exchange_name.startswith(_TEMPORARY):
        raise BrokerRefusedError(
            f"Exchange {exchange_name!r} cannot be on ActiveMQ: names that begin with "
            f"{' or '.join(_TEMPORARY)} are the broker's own. Give the exchange another name.",
            exchange_name=exchange_name,
        )


def is_subscriber_name(name: str) -> bool:
    """Say whether ``name`` can stand in ``Consumer.<name>.VirtualTopic…``: one part, no dot."""
    return bool(name) and "." not in name and not _NOT_IN_A_NAME.search(name)
