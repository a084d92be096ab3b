"""The subscribers' queues of an exchange: made, proved, and kept while we publish.

ActiveMQ accepts what is sent to a topic whether anybody gets it or not. So ``open`` sees that the
broker copies what is sent to a topic of the exchange's pattern into a queue that nobody reads. A
subscription stands on each subscriber's queue: one without is taken away if the broker's policy
says so (``gcInactiveDestinations``).
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from tidings_activemq import destinations, frames
from tidings_activemq.routing import EVERYTHING, joined

if TYPE_CHECKING:
    from tidings.plugins import ExchangeContext
    from tidings_activemq.connection import StompConnection
    from tidings_activemq.settings import ActiveMQSettings

RENEW = 5.0
"""Seconds after which the standing subscriptions are made anew, and so the queues that an operator
has taken away. ActiveMQ tells nobody of that, and what is published in between is in no queue."""

_PROBE = "probe"
PROBE_SECONDS = 5.0
_PROBE_LIVES = 24 * 3600.0
_NEVER = 0
# Takes nothing, so that it is never a slow consumer; any other comes first.
_STANDING: dict[str, str | int] = {
    "ack": "client-individual",
    "selector": "1=0",
    "activemq.prefetchSize": 1,
    "activemq.priority": -127,
}


class SubscriberQueues:
    """Makes the queues of one exchange, proves that its topic leads to them, and keeps them."""

    def __init__(
        self, connection: StompConnection, settings: ActiveMQSettings, context: ExchangeContext
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._exchange_name = context.exchange_name
        self._partitions = range(context.partitions) if context.partitions else (None,)
        self._made = 0.0

    def open(self) -> None:
        """Make the subscribers' queues, and prove that what is published gets into such a queue.

        Raises :class:`~tidings.errors.BrokerRefusedError` if it doesn't.
        """
        for number, queue in enumerate(self._queues()):
            self._connection.request("SUBSCRIBE", self._subscription(number, queue))
        self._made = time.monotonic()
        if self._settings.prove_queues:
            self._prove()

    def is_old(self) -> bool:
        """Say whether it is time for :meth:`renewal`."""
        return bool(self._settings.subscribers) and time.monotonic() - self._made > RENEW

    def renewal(self) -> bytes:
        """Return the frames that subscribe anew; what an operator has taken away is made again."""
        self._made = time.monotonic()
        parts = []
        for number, queue in enumerate(self._queues()):
            subscription = self._subscription(number, queue)
            parts.append(frames.frame("UNSUBSCRIBE", {"id": subscription["id"]}))
            parts.append(frames.frame("SUBSCRIBE", subscription))
        return b"".join(parts)

    def _queues(self) -> list[str]:
        settings = self._settings
        return [
            settings.queue_of(self._exchange_name, subscriber, partition=partition)
            for subscriber in settings.subscribers
            for partition in self._partitions
        ]

    def _subscription(self, number: int, queue: str) -> dict[str, str | int]:
        return {"id": f"standing-{number}", "destination": queue, **_STANDING}

    def _prove(self) -> None:
        """Send a message through a topic of our own; it must lie in the queue that belongs to it.

        Nobody subscribes to that queue when it is sent: as with a subscriber who is away.
        """
        topic, queue = self._way_of_the_probe()
        self._connection.make_queue(queue)
        expires = round((time.time() + _PROBE_LIVES) * 1000)
        # The broker drops what has expired by its own clock. Ours may be days behind it.
        if not any(self._gets_through(topic, queue, each) for each in (expires, _NEVER)):
            raise self._connection.failures.refused(
                f"a message sent to {topic} does not get to {queue}, so that subscribers would "
                "get nothing. The broker has no virtual topics, or they follow another pattern: "
                "let topic_name and queue_name say which (see the plugin's README)"
            )

    def _gets_through(self, topic: str, queue: str, expires: int) -> bool:
        connection = self._connection
        nonce = uuid.uuid4().hex
        connection.request(
            "SEND",
            {
                "destination": topic,
                "probe": nonce,
                "persistent": "false",
                "expires": expires,
            },
        )
        connection.write(
            frames.frame(
                "SUBSCRIBE",
                {
                    "id": _PROBE,
                    "destination": queue,
                    "ack": "auto",
                    "selector": f"probe = '{nonce}'",
                    "activemq.prefetchSize": 1,
                },
            )
        )
        arrived = self._arrives()
        connection.request("UNSUBSCRIBE", {"id": _PROBE})
        return arrived

    def _way_of_the_probe(self) -> tuple[str, str]:
        settings, probe = self._settings, destinations.PROBE
        if settings.routing != "topic" and self._partitions == (None,):
            name = f"{self._exchange_name}.{probe}"
            topic = destinations.topic(name, settings.topic_name)
            return topic, settings.queue_of(name, probe)
        # What is behind the exchange's name is for subscribers' queues with wildcards.
        name = f"{probe}.{self._exchange_name}"
        key = "any.key" if settings.routing == "topic" else ""
        topic = destinations.topic(name, settings.topic_name, joined(0, key))
        return topic, settings.queue_of(name, probe, EVERYTHING, 0)

    def _arrives(self) -> bool:
        deadline = time.monotonic() + PROBE_SECONDS
        while arrival := self._connection.next(max(deadline - time.monotonic(), 0)):
            if arrival.headers.get("subscription") == _PROBE:
                return True
        return False
