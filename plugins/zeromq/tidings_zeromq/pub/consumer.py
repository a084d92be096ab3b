"""The consumer: SUB."""

from __future__ import annotations

import time
from itertools import takewhile
from typing import TYPE_CHECKING

from typing_extensions import override

from tidings.plugins import (
    BrokerUnavailableError,
    Capability,
    KeyPatterns,
    MessageConsumer,
    Opening,
    ReceivedMessage,
)
from tidings_zeromq.bound_socket import set_keepalive
from tidings_zeromq.curve import encrypt_subscriber, subscriber_keys
from tidings_zeromq.hosts import ipv6_choices, lookup_failure
from tidings_zeromq.pub.frames import decode
from tidings_zeromq.pub.sub_socket import SubSocket

if TYPE_CHECKING:
    from collections.abc import Sequence

    import zmq

    from tidings_zeromq.pub.settings import ZeroMQPubSettings


class ZeroMQPubConsumer(MessageConsumer):
    """Reads what is published while it listens; nothing comes again, acknowledged or not.

    The publisher sends what begins as a routing key that is selected; the rest of it is looked at
    here.
    """

    capabilities = frozenset({Capability.ROUTING})

    def __init__(self, settings: ZeroMQPubSettings, _subscriber: str | None = None) -> None:
        self._settings = settings
        self._opening = Opening[SubSocket]()
        self._selected: KeyPatterns | None = None

    @override
    def select(self, routing_keys: Sequence[str]) -> None:
        """Ask for these: ``*`` is a word between dots, ``#`` any number of words."""
        self._selected = KeyPatterns(routing_keys)

    @override
    def open(self, exchange_name: str) -> None:
        """Connect, and listen to every type, or to the routing keys that are selected."""
        self._opening.begin(exchange_name, self._connect)

    def _connect(self, exchange_name: str) -> SubSocket:
        secret_key, relay_public_key = subscriber_keys(self._settings, exchange_name)

        def prepare(socket: zmq.Socket[bytes]) -> None:
            socket.rcvhwm = self._settings.high_water_mark
            set_keepalive(socket, self._settings.heartbeat)
            if secret_key is not None and relay_public_key is not None:
                encrypt_subscriber(socket, secret_key, relay_public_key)
            for beginning in beginnings(self._selected):
                socket.subscribe(beginning.encode())

        choices = self._ipv6_choices(exchange_name)
        return SubSocket(self._settings.connect_address, choices, prepare)

    def _ipv6_choices(self, exchange_name: str) -> list[bool]:
        address = self._settings.connect_address
        try:
            return ipv6_choices(address)
        except OSError as error:
            raise BrokerUnavailableError(
                f"Exchange {exchange_name!r}: {lookup_failure(address, error)}.",
                exchange_name=exchange_name,
            ) from error

    @override
    def receive(self, timeout: float) -> ReceivedMessage | None:
        socket = self._opening.connection
        deadline = time.monotonic() + timeout
        while True:
            frames = socket.receive(max(0.0, deadline - time.monotonic()))
            if frames is not None:
                message = decode(frames)
                if message is not None and self._wants(message):
                    return message
            elif time.monotonic() >= deadline:
                return None

    def _wants(self, message: ReceivedMessage) -> bool:
        return self._selected is None or self._selected.match(message.routing_key)

    @override
    def acknowledge(self, message: ReceivedMessage) -> None:
        """Do nothing: nobody listens."""

    @override
    def close(self) -> None:
        if socket := self._opening.end():
            socket.close()


def beginnings(selected: KeyPatterns | None) -> list[str]:
    """Return what a topic begins with that one of the patterns may stand for."""
    if selected is None:
        return [""]
    found = []
    for pattern in selected.patterns:
        words = pattern.split(".")
        plain = list(takewhile(lambda word: word not in {"*", "#"}, words))
        # "a.#" stands for "a", too, so that the dot is no part of it.
        ends = plain == words or words[len(plain)] == "#"
        found.append(".".join(plain) if ends or not plain else ".".join([*plain, ""]))
    return found
