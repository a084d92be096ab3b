"""The consumer: SUB."""

from __future__ import annotations

import math
import time
from itertools import takewhile
from typing import TYPE_CHECKING

import zmq
from typing_extensions import override
from zmq.utils.monitor import parse_monitor_message

from tidings.plugins import (
    BrokerUnavailableError,
    Capability,
    KeyPatterns,
    MessageConsumer,
    Opening,
    ReceivedMessage,
)
from tidings_zeromq.curve import encrypt_subscriber, subscriber_keys
from tidings_zeromq.hosts import ipv6_choices, lookup_failure
from tidings_zeromq.pub.frames import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings_zeromq.pub.settings import ZeroMQPubSettings

SWITCH_SECONDS = 1.0
_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED


class ZeroMQPubConsumer(MessageConsumer):
    """Reads what is published while it listens; nothing comes again, acknowledged or not.

    The publisher sends what begins as a routing key that is selected; the rest of it is looked at
    here.
    """

    capabilities = frozenset({Capability.ROUTING})

    def __init__(self, settings: ZeroMQPubSettings, _subscriber: str | None = None) -> None:
        self._settings = settings
        self._opening = Opening[zmq.Socket[bytes]]()
        self._monitor: zmq.Socket[bytes] | None = None
        self._choices: list[bool] = []
        self._selected: KeyPatterns | None = None
        self._switch_at = math.inf

    @override
    def select(self, routing_keys: Sequence[str]) -> None:
        """Ask for these: ``*`` is a word between dots, ``#`` any number of words."""
        self._selected = KeyPatterns(routing_keys)

    @override
    def open(self, exchange_name: str) -> None:
        """Connect, and listen to every type, or to the routing keys that are selected."""
        self._opening.begin(exchange_name, self._connect)

    def _connect(self, exchange_name: str) -> zmq.Socket[bytes]:
        secret_key, relay_public_key = subscriber_keys(self._settings, exchange_name)
        self._choices = self._ipv6_choices(exchange_name)
        self._monitor, self._switch_at = None, math.inf
        context = zmq.Context()
        try:
            socket = context.socket(zmq.SUB)
            socket.linger = 0
            socket.rcvhwm = self._settings.high_water_mark
            socket.tcp_keepalive = 1
            socket.ipv6 = self._choices[0]
            if secret_key is not None and relay_public_key is not None:
                encrypt_subscriber(socket, secret_key, relay_public_key)
            for beginning in beginnings(self._selected):
                socket.subscribe(beginning.encode())
            if self._choices[1:]:
                self._monitor = socket.get_monitor_socket(_EVENTS)
                self._switch_at = time.monotonic() + SWITCH_SECONDS
            socket.connect(self._settings.connect_address)
        except BaseException:
            context.destroy(linger=0)
            raise
        return socket

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
            left = max(0.0, min(deadline, self._switch_at) - time.monotonic())
            if socket.poll(math.ceil(left * 1000)):
                message = decode(socket.recv_multipart())
                if message is not None and self._wants(message):
                    return message
            elif time.monotonic() >= deadline:
                return None
            self._switch_version(socket)

    def _wants(self, message: ReceivedMessage) -> bool:
        return self._selected is None or self._selected.match(message.routing_key)

    def _switch_version(self, socket: zmq.Socket[bytes]) -> None:
        """Go on with the other version of IP, if the host has both and nothing was found."""
        if self._monitor is None:
            return
        while self._monitor.poll(0):
            found = parse_monitor_message(self._monitor.recv_multipart())["event"]
            gone = found == zmq.EVENT_DISCONNECTED
            self._switch_at = time.monotonic() + SWITCH_SECONDS if gone else math.inf
        if time.monotonic() < self._switch_at:
            return
        socket.disconnect(self._settings.connect_address)
        self._choices.reverse()
        socket.ipv6 = self._choices[0]
        socket.connect(self._settings.connect_address)
        self._switch_at = time.monotonic() + SWITCH_SECONDS

    @override
    def acknowledge(self, message: ReceivedMessage) -> None:
        """Do nothing: nobody listens."""

    @override
    def close(self) -> None:
        if socket := self._opening.end():
            if self._monitor is not None:
                socket.disable_monitor()
                self._monitor.close(linger=0)
            socket.close()
            socket.context.term()


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
