"""One exchange's events on their way: in transactions, several of them in flight at once.

A transaction's events are written as soon as it is full, or nothing more comes, and the one before
has its end. Its end (the next token, the acknowledgement of the last one, COMMIT) follows when the
last token is in our hands. That is when the transaction before has been committed. The broker
meanwhile takes in the next events. The end also waits until the broker has given a receipt for the
last event. If a frame is too large for the broker, it reads the rest of it as other frames, and may
go on behind it. An end that was written already would then commit what is left of the transaction.

So the broker never holds more than one transaction that isn't committed. Those count against its
memory limits, at which it reads nothing more, no COMMIT either.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING

from tidings.plugins import Accepted, fingerprint_of
from tidings_activemq import destinations, frames
from tidings_activemq.transaction import Transaction

if TYPE_CHECKING:
    from tidings.plugins import ExchangeContext, Notification
    from tidings_activemq.arrivals import Arrival
    from tidings_activemq.connection import StompConnection
    from tidings_activemq.memory import Memory
    from tidings_activemq.settings import ActiveMQSettings
    from tidings_activemq.subscriber_queues import SubscriberQueues
    from tidings_activemq.token import Token

_LINGER = 0.02
"""Seconds after which a transaction into which nothing more is sent is committed."""


class Pipeline:
    """Fills transactions, writes them in order, and hears which the broker has accepted.

    It waits for nothing and handles no failure: those are its caller's.
    """

    def __init__(
        self,
        connection: StompConnection,
        settings: ActiveMQSettings,
        context: ExchangeContext,
        memory: Memory,
        *,
        queues: SubscriberQueues | None,
        token: Token | None,
    ) -> None:
        self.accepted_id: int | None = None
        self.newest = token.says if token is not None else None
        """What the broker says that it holds: the last token that it has."""
        self.unaccepted = 0
        self.unaccepted_bytes = 0
        self._connection = connection
        self._settings = settings
        self._window, self._window_bytes = settings.window, settings.window_bytes
        self._position = context.position
        self._memory = memory
        self._queues = queues
        self._token = token
        self._next_token = self.newest
        self._encoder = frames.EventFrames(
            context.exchange_name,
            settings.destination or destinations.topic(context.exchange_name, settings.topic_name),
            settings.routing,
            parted=context.partitions > 0 and settings.destination is None,
        )
        self._transactions = 0
        self._current = self._begin()
        self._in_flight: deque[Transaction] = deque()
        self._progress = 0.0

    @property
    def is_full(self) -> bool:
        """Whether the next event must wait until some are accepted."""
        return self.unaccepted >= self._window or (
            self.unaccepted_bytes >= self._window_bytes and self.unaccepted > 0
        )

    @property
    def unaccepted_ids(self) -> list[int]:
        """The events that are not accepted, in order."""
        return [*self.ids_in_flight, *self._current.ids]

    @property
    def ids_in_flight(self) -> list[int]:
        """Those of them that are not in the transaction which is being filled."""
        return [event_id for transaction in self._in_flight for event_id in transaction.ids]

    def encode(self, notification: Notification) -> bytes:
        """Return the event's frame; raises if it can never have one."""
        return self._encoder.encode(self._current.name, *notification)

    def add(self, encoded: bytes, notification: Notification) -> None:
        """Add an event to the current transaction; write that out if it is full."""
        self.unaccepted += 1
        self.unaccepted_bytes += self._current.add(encoded, notification)
        self.write_if_due()

    def goes_alone(self, event_id: int) -> bool:
        """Say whether an event must have a transaction to itself."""
        return event_id <= self._memory.one_by_one_until

    def write_if_due(self) -> None:
        """Write the current transaction out if it is full, or has waited long enough."""
        current = self._current
        if not current.ids:
            return
        if (
            len(current.ids) >= self._settings.batch_size
            or current.size >= self._memory.pace.bytes
            or self.goes_alone(current.ids[-1])
        ):
            self._write_out()
        elif time.monotonic() - current.begun > _LINGER:
            self.write_current()

    def write_current(self) -> None:
        """Write the current transaction out, if there is anything in it, when its turn comes.

        Before the one ahead of it has its end, it could not be written, and takes in more events.
        Else there would be ever more small transactions at a broker that is slow or far away.
        """
        if self._current.ids:
            self._current.is_due = True
            if not self._in_flight or self._in_flight[-1].receipt is not None:
                self._write_out()

    def _write_out(self) -> None:
        full, self._current = self._current, self._begin()
        self._write(full)

    def keep_young(self) -> None:
        """Write the token and the subscriptions anew if they are old, and what may be written."""
        if self._token is not None and not self._in_flight and self._token.is_old():
            self._write(self._begin())
        self._advance()

    def take(self, arrival: Arrival) -> None:
        """Take in a receipt, or the token; write what may be written then."""
        if arrival.kind == "receipt":
            self.accept(arrival)
        elif self._token is not None and arrival.kind == "message":
            self._token.arrived(arrival)
        else:
            return
        self._advance()
        if self._current.is_due:
            self.write_current()

    def patience(self) -> float:
        """Return how many seconds more the broker may take until it accepts something."""
        if not self._in_flight:
            return math.inf
        return self._progress + self._settings.no_progress_timeout - time.monotonic()

    def stalled(self) -> int:
        """Take note that the broker goes no further.

        Return how many events were in flight if they may be why, else 0.
        """
        in_flight = [each for each in self._in_flight if each.written and each.ids]
        largest = max((each.size for each in in_flight), default=0)
        if not self._memory.pace.stalled(largest):
            return 0
        return sum(len(each.ids) for each in in_flight)

    def _begin(self) -> Transaction:
        self._transactions += 1
        return Transaction(f"t{self._transactions}")

    def _write(self, transaction: Transaction) -> None:
        if not self._in_flight:
            self._progress = time.monotonic()
        self._in_flight.append(transaction)
        self._advance()

    def _advance(self) -> None:
        """Write what may be written: never events behind a transaction that has no end yet."""
        parts: list[bytes] = []
        if self._queues is not None and self._queues.is_old():
            parts.append(self._queues.renewal())
        for transaction in self._in_flight:
            if transaction.receipt is not None:
                continue
            if not transaction.written:
                transaction.written = True
                parts.append(frames.frame("BEGIN", {"transaction": transaction.name}))
                if transaction.frames:
                    transaction.taken = self._connection.new_receipt()
                    transaction.frames[-1] = frames.asking(
                        transaction.frames[-1], transaction.taken
                    )
                parts += transaction.frames
                transaction.frames.clear()
            if transaction.taken or (self._token is not None and not self._token.is_in_hand()):
                break
            parts.append(self._end_of(transaction))
        if parts:
            self._connection.write(b"".join(parts))

    def _end_of(self, transaction: Transaction) -> bytes:
        transaction.receipt = self._connection.new_receipt()
        # The broker's time runs from now, however long we were away.
        self._progress = time.monotonic()
        headers = {"transaction": transaction.name, "receipt": transaction.receipt}
        commit = frames.frame("COMMIT", headers)
        if self._token is None:
            return commit
        if transaction.newest is not None:
            type_name, event_id, occurred_on = transaction.newest
            mark = fingerprint_of(type_name, occurred_on)
            now, ours = self._next_token, self._token.is_ours(self._next_token)
            # An event that was in quarantine may come after newer ones; the token never goes back.
            if now is None or not ours or event_id > now.event_id:
                self._next_token = Accepted(event_id, mark, *self._position[1:])
        transaction.token = self._next_token
        return self._token.moves_to(self._next_token, transaction.name) + commit

    def accept(self, arrival: Arrival) -> None:
        """Take in a receipt; writes nothing."""
        receipt = arrival.headers["receipt-id"]
        for transaction in self._in_flight:
            if transaction.taken == receipt:
                transaction.taken = None
                self._progress = time.monotonic()
        # The broker works off one connection's commits in their order.
        if self._in_flight and self._in_flight[0].receipt == receipt:
            accepted = self._in_flight.popleft()
            if accepted.ids:
                self.accepted_id = accepted.ids[-1]
                self._memory.pace.accepted()
            self.newest = accepted.token or self.newest
            self.unaccepted -= len(accepted.ids)
            self.unaccepted_bytes -= accepted.size
            self._progress = time.monotonic()
