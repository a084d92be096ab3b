"""The token: the one message that is an exchange's lock and its last published id.

It lives in a queue of its own and is held, received and not acknowledged, through an exclusive
subscription: the broker gives it to one connection at a time, and to the next one only when it
has dealt with all that the last one sent. Every transaction of events carries the next token and
acknowledges the last one, so that the events and the id move together or not at all.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

from tidings.plugins import ExchangeLockedError
from tidings_activemq import destinations, frames

if TYPE_CHECKING:
    from tidings_activemq.connection import Arrival, Connection

REFRESH = 30.0
"""Seconds after which an idle publisher writes the token anew.

KahaDB, ActiveMQ's store, keeps every journal file since the oldest message that it holds. A token
that lay still for days would fill the disk with what others sent meanwhile.
"""

_SUBSCRIPTION = "token"
_BROWSER = "token-browser"
_FIRST_LOOK = 0.1
# More than will ever be there at once: one, and what others made who thought there was none.
_PREFETCH = 100


class Held(NamedTuple):
    """A token that we have received and not acknowledged."""

    ack: str
    message_id: str
    event_id: int
    generation: int
    nonce: str


class Token:
    """Takes the token of one exchange, and moves it on."""

    def __init__(
        self, connection: Connection, exchange_name: str, generation: int, timeout: float
    ) -> None:
        self._connection = connection
        self._exchange_name = exchange_name
        self._generation = generation
        self._timeout = timeout
        self._queue = destinations.token_queue(exchange_name)
        self._writer = uuid.uuid4().hex
        self._count = 0
        self._held: Held | None = None
        self._event_id = 0
        self._written = 0.0

    def take(self) -> int | None:
        """Wait for the token, make it where there is none, and return its id.

        ``None`` where it says nothing, or was written in another generation. Raises
        :class:`ExchangeLockedError` where another connection holds it.
        """
        self._subscribe()
        found = self._first()
        found += self._others(found)
        event_id = max((t.event_id for t in found if t.generation == self._generation), default=0)
        self._renew(event_id, found)
        return event_id or None

    def is_held(self) -> bool:
        """Say whether the last token written has come back, so that the next may be written."""
        return self._held is not None

    def is_old(self) -> bool:
        """Say whether it is time to write the token anew."""
        return self.is_held() and time.monotonic() - self._written > REFRESH

    def moves_to(self, event_id: int, transaction: str) -> bytes:
        """Return the frames that move the token to ``event_id`` within ``transaction``."""
        if self._held is None:
            raise RuntimeError("the last token has not come back yet")
        moved = self._new(event_id, transaction) + _ack(self._held, transaction)
        self._held = None
        return moved

    def arrived(self, arrival: Arrival) -> None:
        """Take in a message of the token's queue."""
        if arrival.headers.get("subscription") != _SUBSCRIPTION:
            return
        token = _read(arrival)
        if token.nonce == self._nonce:
            self._held = token
        elif token.generation == self._generation and token.event_id > self._event_id:
            raise self._connection.failures.unavailable(
                f"another token says that events up to {token.event_id} are published, ours says "
                f"{self._event_id}. Did somebody put it there? The greater one will count"
            )
        else:
            # Made by somebody who saw an empty queue for a moment; ours is further.
            self._connection.write(_ack(token))

    @property
    def _nonce(self) -> str:
        return f"{self._writer}-{self._count}"

    def _subscribe(self) -> None:
        self._connection.request(
            "SUBSCRIBE",
            {
                "id": _SUBSCRIPTION,
                "destination": self._queue,
                "ack": "client-individual",
                "activemq.exclusive": "true",
                "activemq.prefetchSize": _PREFETCH,
            },
        )

    def _first(self) -> list[Held]:
        """Wait for a token; make the first one where the queue is empty."""
        deadline = time.monotonic() + self._timeout
        token = self._next(min(_FIRST_LOOK, self._timeout))
        if token is None and not self._browse():
            self._connection.write(self._new(0))
        if token is None:
            token = self._next(max(deadline - time.monotonic(), _FIRST_LOOK))
        if token is None:
            raise ExchangeLockedError(
                f"Exchange {self._exchange_name!r} is held by another publisher on ActiveMQ: its "
                f"token, in {self._queue.removeprefix('/queue/')}, did not come within "
                f"{self._timeout:g} s. Wait for that relay, or stop it.",
                exchange_name=self._exchange_name,
            )
        return [token]

    def _others(self, found: list[Held]) -> list[Held]:
        """Return the other tokens, if the queue has more than the one."""
        missing = self._browse() - {token.message_id for token in found}
        others: list[Held] = []
        while missing:
            token = self._next(self._timeout)
            if token is None:
                raise self._connection.failures.unavailable(
                    f"the broker lists {len(missing)} more message(s) in "
                    f"{self._queue.removeprefix('/queue/')}, and does not deliver them. Is "
                    "somebody else reading that queue?"
                )
            others.append(token)
            missing.discard(token.message_id)
        return others

    def _renew(self, event_id: int, found: list[Held]) -> None:
        """Put one token of ours in the place of those found.

        Shows now, not at the first event, whether we may write to the queue.
        """
        connection = self._connection
        connection.request("BEGIN", {"transaction": "token"})
        connection.write(self._new(event_id, "token"))
        for token in found:
            connection.write(_ack(token, "token"))
        connection.request("COMMIT", {"transaction": "token"})
        deadline = time.monotonic() + self._timeout
        while self._held is None:
            arrival = connection.next(max(deadline - time.monotonic(), 0))
            if arrival is None:
                raise connection.failures.unavailable(
                    "the broker does not give us the token that we have just written"
                )
            self.arrived(arrival)

    def _new(self, event_id: int, transaction: str | None = None) -> bytes:
        self._count += 1
        self._event_id = event_id
        self._written = time.monotonic()
        headers: dict[str, str | int] = {
            "destination": self._queue,
            "persistent": "true",
            "content-type": "application/json",
            "nonce": self._nonce,
        }
        if transaction:
            headers["transaction"] = transaction
        body = {"event_id": event_id, "generation": self._generation}
        return frames.frame("SEND", headers, json.dumps(body).encode())

    def _next(self, timeout: float) -> Held | None:
        deadline = time.monotonic() + timeout
        while arrival := self._connection.next(max(deadline - time.monotonic(), 0)):
            if arrival.headers.get("subscription") == _SUBSCRIPTION:
                return _read(arrival)
        return None

    def _browse(self) -> set[str]:
        """Return the message ids of all tokens there are, whoever holds them."""
        headers = {"id": _BROWSER, "destination": self._queue, "ack": "auto", "browser": "true"}
        self._connection.write(frames.frame("SUBSCRIBE", headers))
        ids: set[str] = set()
        tokens = []
        deadline = time.monotonic() + self._timeout
        while True:
            arrival = self._connection.next(max(deadline - time.monotonic(), 0))
            if arrival is None:
                raise self._connection.failures.unavailable(
                    f"the broker does not list what is in {self._queue.removeprefix('/queue/')}"
                )
            if arrival.headers.get("subscription") != _BROWSER:
                tokens.append(arrival)
            elif arrival.headers.get("browser") == "end":
                break
            else:
                ids.add(arrival.headers["message-id"])
        self._connection.put_back(tokens)
        self._connection.write(frames.frame("UNSUBSCRIBE", {"id": _BROWSER}))
        return ids


def _ack(token: Held, transaction: str | None = None) -> bytes:
    headers = {"id": token.ack}
    if transaction:
        headers["transaction"] = transaction
    return frames.frame("ACK", headers)


def _read(arrival: Arrival) -> Held:
    """Read a token; what isn't one says nothing."""
    try:
        value = json.loads(arrival.body)
        event_id, generation = int(value["event_id"]), int(value["generation"])
    except (ValueError, TypeError, KeyError):
        event_id, generation = 0, -1
    return Held(
        ack=arrival.headers["ack"],
        message_id=arrival.headers["message-id"],
        event_id=event_id,
        generation=generation,
        nonce=arrival.headers.get("nonce", ""),
    )
