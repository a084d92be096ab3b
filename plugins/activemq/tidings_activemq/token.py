"""The token: the one message that is an exchange's lock and its last published id.

It lives in a queue of its own. A publisher has it in hand, received and not acknowledged, through
an exclusive subscription. The broker gives it to one connection at a time. The next one gets it
only when the broker has dealt with all that the last one sent. Every transaction of events carries
the next token and acknowledges the last one. So the events and the id move together or not at all.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

from tidings.plugins import Accepted, ExchangeLockedError
from tidings_activemq import destinations, frames

if TYPE_CHECKING:
    from tidings.plugins import DeliveryError, ExchangeContext
    from tidings_activemq.arrivals import Arrival
    from tidings_activemq.connection import StompConnection
    from tidings_activemq.memory import Memory

REFRESH = 10.0
"""Seconds after which an idle publisher writes the token anew.

KahaDB, ActiveMQ's store, keeps every journal file since the oldest message that it holds. A token
that lay still for days would fill the disk with what others sent meanwhile. And a broker with
``abortSlowAckConsumerStrategy`` cuts off who holds a message for longer than 30 seconds, unless it
is told otherwise.
"""

_SUBSCRIPTION = "token"
_BROWSER = "token-browser"
_FIRST_LOOK = 0.1
# More than will ever be there at once: one, and what others made who thought there was none.
_PREFETCH = 100


class TokenMessage(NamedTuple):
    """A token that we have received and not acknowledged."""

    ack: str
    message_id: str
    accepted: Accepted | None
    nonce: str


class Token:
    """Takes the token of one exchange, and moves it on."""

    def __init__(
        self,
        connection: StompConnection,
        context: ExchangeContext,
        timeout: float,
        memory: Memory,
    ) -> None:
        self.says: Accepted | None = None
        """The event that it names: of the last token written."""
        self._connection = connection
        self._exchange_name = context.exchange_name
        self._position = context.position
        self._timeout = timeout
        self._queue = destinations.token_queue(context.exchange_name)
        self._writer = uuid.uuid4().hex
        self._last_writer, memory.writer = memory.writer, self._writer
        self._count = 0
        self._in_hand: TokenMessage | None = None
        self._written = 0.0

    def take(self) -> None:
        """Wait for the token, and make it if there is none.

        It goes on naming the event that it named until it is moved, be it one of another generation
        or store. Raises :class:`ExchangeLockedError` if another connection holds it.
        """
        self._subscribe()
        found = self._first()
        found += self._others(found)
        named = [token.accepted for token in found if token.accepted is not None]
        newest = max(named, key=lambda each: (self.is_ours(each), each.event_id), default=None)
        self._renew(newest, found)

    def is_ours(self, accepted: Accepted | None) -> bool:
        """Say whether that was written by a publisher of our store and generation."""
        return accepted is not None and accepted[2:] == self._position[1:]

    def is_in_hand(self) -> bool:
        """Say whether the last token written has come back, so that the next may be written."""
        return self._in_hand is not None

    def is_old(self) -> bool:
        """Say whether it is time to write the token anew."""
        return self.is_in_hand() and time.monotonic() - self._written > REFRESH

    def moves_to(self, accepted: Accepted | None, transaction: str) -> bytes:
        """Return the frames that move the token to that event within ``transaction``."""
        if self._in_hand is None:
            raise RuntimeError("the last token has not come back yet")
        moved = self._new(accepted, transaction) + _ack(self._in_hand, transaction)
        self._in_hand = None
        return moved

    def arrived(self, arrival: Arrival) -> None:
        """Take in a message of the token's queue."""
        if arrival.headers.get("subscription") != _SUBSCRIPTION:
            return
        token = _read(arrival)
        if token.nonce == self._nonce:
            self._in_hand = token
        elif self.is_ours(token.accepted) and _id(token.accepted) > _id(self.says):
            raise self._connection.failures.unavailable(
                f"another token says that events up to {_id(token.accepted)} are published, ours "
                f"says {_id(self.says)}. Did somebody put it there? The greater one will count"
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

    def _first(self) -> list[TokenMessage]:
        """Wait for a token; make the first one if the queue is empty."""
        deadline = time.monotonic() + self._timeout
        token = self._next(min(_FIRST_LOOK, self._timeout))
        if token is None and not self._browse():
            self._connection.write(self._new(None))
        if token is None:
            token = self._next(max(deadline - time.monotonic(), _FIRST_LOOK))
        if token is None:
            raise self._locked_elsewhere()
        return [token]

    def _locked_elsewhere(self) -> DeliveryError:
        queue = self._queue.removeprefix("/queue/")
        nonces = self._browse().values()
        if self._last_writer and any(nonce.startswith(self._last_writer) for nonce in nonces):
            return self._connection.failures.unavailable(
                f"the broker has not yet let go of our own last connection, which holds the token "
                f"in {queue}: it did not come within {self._timeout:g} s (token_timeout)"
            )
        return ExchangeLockedError(
            f"Exchange {self._exchange_name!r} is locked by another publisher on ActiveMQ: its "
            f"token, in {queue}, did not come within {self._timeout:g} s. Wait for that relay, or "
            "stop it. If no relay runs, another program reads that queue: none may.",
            exchange_name=self._exchange_name,
        )

    def _others(self, found: list[TokenMessage]) -> list[TokenMessage]:
        """Return the other tokens, if the queue has more than the one."""
        missing = self._browse().keys() - {token.message_id for token in found}
        others: list[TokenMessage] = []
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

    def _renew(self, accepted: Accepted | None, found: list[TokenMessage]) -> None:
        """Put one token of ours in the place of those found.

        Shows now, not at the first event, whether we may write to the queue.
        """
        connection = self._connection
        connection.request("BEGIN", {"transaction": "token"})
        connection.write(self._new(accepted, "token"))
        for token in found:
            connection.write(_ack(token, "token"))
        connection.request("COMMIT", {"transaction": "token"})
        deadline = time.monotonic() + self._timeout
        while self._in_hand is None:
            arrival = connection.next(max(deadline - time.monotonic(), 0))
            if arrival is None:
                raise connection.failures.unavailable(
                    "the broker does not give us the token that we have just written"
                )
            self.arrived(arrival)

    def _new(self, accepted: Accepted | None, transaction: str | None = None) -> bytes:
        self._count += 1
        self.says = accepted
        self._written = time.monotonic()
        headers: dict[str, str | int] = {
            "destination": self._queue,
            "persistent": "true",
            "content-type": "application/json",
            "nonce": self._nonce,
        }
        if transaction:
            headers["transaction"] = transaction
        body = (accepted or Accepted(0, None, *self._position[1:]))._asdict()
        return frames.frame("SEND", headers, json.dumps(body).encode())

    def _next(self, timeout: float) -> TokenMessage | None:
        deadline = time.monotonic() + timeout
        while arrival := self._connection.next(max(deadline - time.monotonic(), 0)):
            if arrival.headers.get("subscription") == _SUBSCRIPTION:
                return _read(arrival)
        return None

    def _browse(self) -> dict[str, str]:
        """Return all tokens there are, whoever holds them: their nonces, by message id."""
        headers = {"id": _BROWSER, "destination": self._queue, "ack": "auto", "browser": "true"}
        self._connection.write(frames.frame("SUBSCRIBE", headers))
        ids: dict[str, str] = {}
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
                ids[arrival.headers["message-id"]] = arrival.headers.get("nonce", "")
        self._connection.put_back(tokens)
        self._connection.write(frames.frame("UNSUBSCRIBE", {"id": _BROWSER}))
        return ids


def _ack(token: TokenMessage, transaction: str | None = None) -> bytes:
    headers = {"id": token.ack}
    if transaction:
        headers["transaction"] = transaction
    return frames.frame("ACK", headers)


def _id(accepted: Accepted | None) -> int:
    return 0 if accepted is None else accepted.event_id


def _read(arrival: Arrival) -> TokenMessage:
    """Read a token; what isn't one says nothing."""
    try:
        value = json.loads(arrival.body)
        mark = value.get("fingerprint")
        accepted = Accepted(
            int(value["event_id"]),
            None if mark is None else str(mark),
            int(value["generation"]),
            str(value.get("store", "")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        accepted = Accepted(0)
    return TokenMessage(
        ack=arrival.headers["ack"],
        message_id=arrival.headers["message-id"],
        accepted=accepted if accepted.event_id else None,
        nonce=arrival.headers.get("nonce", ""),
    )
