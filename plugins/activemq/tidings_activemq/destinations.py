"""Which of ActiveMQ's destinations belong to an exchange."""

from __future__ import annotations

import re

from tidings.plugins import BrokerRefusedError

# What ActiveMQ reads as wildcards, lists, options, schemes and temporary destinations.
_NOT_IN_A_NAME = re.compile(r"[*>,?/:\\\s\x00-\x1f\x7f]|^\.|\.$|\.\.")
_TEMPORARY = ("ActiveMQ.", "ID.")


def topic(exchange_name: str) -> str:
    """Return the virtual topic that an exchange is."""
    return f"/topic/VirtualTopic.{exchange_name}"


def subscriber_queue(exchange_name: str, subscriber: str) -> str:
    """Return the queue that a subscriber of the exchange reads."""
    return f"/queue/Consumer.{subscriber}.VirtualTopic.{exchange_name}"


def token_queue(exchange_name: str) -> str:
    """Return the queue in which the exchange's token lives."""
    return f"/queue/{exchange_name}.tracker"


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
