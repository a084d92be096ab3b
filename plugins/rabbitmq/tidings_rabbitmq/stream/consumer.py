"""The ``rabbitmq-stream`` consumer."""

from __future__ import annotations

import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.plugins import (
    BrokerRefusedError,
    Capability,
    DeliveryError,
    KeyPatterns,
    MessageConsumer,
    Opening,
    ReceivedMessage,
)
from tidings_rabbitmq.stream.reader import StreamReader
from tidings_rabbitmq.stream.topology import SHORT_STRING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

LONGEST_WAIT = 0.5
"""Seconds between two looks at every partition's connection."""


class RabbitMQStreamConsumer(MessageConsumer):
    """Reads a stream from where this subscriber last stopped, the first time from its beginning.

    The broker keeps the subscriber's position, under its name (by default the exchange's). It is
    the place before the first message that was not acknowledged: what was acknowledged behind
    that place comes again after a restart. It is stored when nothing more has come, every 100
    acknowledgements, and at :meth:`close`. A crash brings again what came behind the last place
    that the broker has heard of.

    Routing keys are chosen here: the broker sends every message, and the position moves over those
    that nobody asked for.

    Of an exchange that is parted, each partition is a stream, with a position of its own. Each is
    read over a connection of its own. That nobody else reads it as the same subscriber is up to
    whoever starts the consumers.
    """

    capabilities = frozenset({Capability.ROUTING, Capability.PARTITIONS})

    def __init__(self, settings: RabbitMQStreamSettings, subscriber: str | None) -> None:
        self._settings = settings
        self._subscriber = subscriber
        self._partitions: Sequence[int | None] = [None]
        self._of = 0
        self._selected: KeyPatterns | None = None
        self._opening = Opening[list[StreamReader]]()

    @override
    def select(self, routing_keys: Sequence[str]) -> None:
        """Ask for these: ``*`` is a word between dots, ``#`` any number of words."""
        self._selected = KeyPatterns(routing_keys)

    @override
    def select_partitions(self, partitions: Sequence[int], of: int) -> None:
        self._partitions = sorted(set(partitions)) or list(range(of))
        self._of = of

    @override
    def open(self, exchange_name: str) -> None:
        """Connect, create what is missing, and begin to receive."""
        self._opening.begin(exchange_name, self._connect)

    def _connect(self, exchange_name: str) -> list[StreamReader]:
        reference = self._subscriber or exchange_name
        if not exchange_name or len(reference.encode()) > SHORT_STRING:
            raise BrokerRefusedError(
                f"Exchange {exchange_name!r}: it and the subscriber's name must have between 1 "
                f"and {SHORT_STRING} bytes for RabbitMQ. Use other names.",
                exchange_name=exchange_name,
            )
        readers = [
            StreamReader(
                self._settings,
                exchange_name,
                reference,
                partition=partition,
                selected=self._selected,
                opening=self._opening,
            )
            for partition in self._partitions
        ]
        try:
            for reader in readers:
                reader.open(self._of)
        except BaseException:
            _close(readers)
            raise
        return readers

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        readers = self._opening.connection
        if len(readers) == 1:
            return readers[0].receive(timeout)
        deadline = time.monotonic() + timeout
        while True:
            for _ in readers:
                readers.append(readers.pop(0))  # each in turn
                message = readers[-1].receive(0)
                if message is not None:
                    return message
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            _wait_for_any(readers, min(left, LONGEST_WAIT))

    @override
    def acknowledge(self, message: ReceivedMessage) -> None:
        reader, offset = self._opening.name_of(message)
        reader.acknowledge(offset)

    @override
    def wait(self, seconds: float) -> None:
        """Keep heartbeats going; what comes meanwhile waits for :meth:`receive`."""
        readers = self._opening.connection
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            share = min(left, LONGEST_WAIT) / len(readers)
            for reader in readers:
                reader.wait(share)

    @override
    def close(self) -> None:
        """Store the position, and close the connection."""
        _close(self._opening.end() or [])


def _close(readers: Sequence[StreamReader]) -> None:
    for reader in readers:
        with suppress(DeliveryError):
            reader.close()


def _wait_for_any(readers: Sequence[StreamReader], seconds: float) -> None:
    poll = select.poll()
    for reader in readers:
        poll.register(reader.descriptor, select.POLLIN)
    poll.poll(seconds * 1000)
