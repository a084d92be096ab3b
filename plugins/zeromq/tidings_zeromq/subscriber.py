"""The subscriber's side: for applications that read an exchange themselves."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Self

from pydantic import SecretStr

from tidings.plugins import BrokerRefusedError, ReceivedMessage
from tidings_zeromq.connection import Connection
from tidings_zeromq.patience import Patience
from tidings_zeromq.sequence import Sequence, Verdict
from tidings_zeromq.settings import DEFAULT_HEARTBEAT, check_address, check_key, check_name
from tidings_zeromq.wire import (
    FIRST_EVENT,
    NO_ID,
    Request,
    WireError,
    decode_event,
    decode_head,
    encode_request,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_log = logging.getLogger("tidings.zeromq")

_UNANSWERED = 5
_RENEW_SECONDS = 10.0
_MAX_USELESS = 1000  # frames until the caller's timeout is looked at
_REPORT_SECONDS = 0.01
_REPORT_COUNT = 128
_HOLE_SECONDS = 0.05  # a relay that talks nonsense is not asked for more of it at once


class Subscriber:
    """Reads one exchange, event by event, from the relay that listens at ``connect``.

    What it yields ascends without a gap and without repeats from ``last_id`` on, whatever dies and
    comes back: the relay, the network, or the subscriber itself, if it keeps the last id together
    with the effect (in one transaction) and hands it in again::

        with Subscriber(connect="tcp://relay:5556", exchange_name="my-bc-app", name="app",
                        last_id=stored_last_id) as subscriber:
            for message in subscriber:
                with transaction:
                    ...                          # the effect, and int(message.message_id)
                subscriber.acknowledge(message)

    ``last_id``: 0 for everything from the first event on, or any id; ``None`` for "after what the
    exchange's required subscribers have": then the relay, which forgets, is all the memory there
    is, and events that were received and not acknowledged come again.

    ``name``: if it stands in the relay's ``subscribers``, events count as accepted only when it
    has acknowledged them. One process at a time uses a name.

    With CURVE: ``secret_key`` is this subscriber's, ``relay_public_key`` the relay's.

    **Threads.** One object is used by one thread at a time. Making it connects to nothing.
    """

    def __init__(
        self,
        *,
        connect: str,
        exchange_name: str,
        name: str,
        last_id: int | None = None,
        secret_key: str | SecretStr | None = None,
        relay_public_key: str | None = None,
        heartbeat: float = DEFAULT_HEARTBEAT,
    ) -> None:
        if (secret_key is None) != (relay_public_key is None):
            raise ValueError("CURVE takes both keys: secret_key and relay_public_key.")
        if last_id is not None and last_id < 0:
            raise ValueError("last_id is an event's id, 0 for all events, or None.")
        if isinstance(secret_key, str):
            secret_key = SecretStr(secret_key)
        if secret_key is not None and relay_public_key is not None:
            check_key(secret_key.get_secret_value())
            check_key(relay_public_key)
        self._connect = check_address(connect)
        self._exchange_name = check_name(exchange_name, "an exchange")
        self._name = check_name(name)
        self._keys = secret_key, relay_public_key
        self._heartbeat = heartbeat
        self._acknowledged = NO_ID if last_id is None else last_id
        self._sequence = Sequence(last_id)
        self._frame = b""
        self._place = 0
        self._reported = (NO_ID, NO_ID)
        self._reported_at = 0.0
        self._unreported = 0
        self._patience = Patience()
        self._connection: Connection | None = None

    @property
    def last_id(self) -> int | None:
        """The newest event received; what to begin with when it was stored with its effect."""
        return self._sequence.last_id

    def open(self) -> None:
        """Connect. The relay need not be there yet: it is found when it comes.

        After a :meth:`close`, begins behind the last event acknowledged.
        """
        if self._connection is not None:
            raise RuntimeError("The subscriber is open already.")
        self._frame = b""
        self._sequence = Sequence(None if self._acknowledged == NO_ID else self._acknowledged)
        self._connection = self._connect_anew()

    def close(self) -> None:
        """Tell the relay the last acknowledgement, and hang up. Idempotent, never raises."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.look()
            self._report(connection, time.monotonic())
            connection.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[ReceivedMessage]:
        """Yield messages for ever."""
        while True:
            message = self.receive(3600.0)
            if message is not None:
                yield message

    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Return the next message, or ``None`` when none came within ``timeout`` seconds.

        Raises :class:`~tidings.errors.BrokerRefusedError` where the relay refuses our CURVE key,
        or is not the one whose public key we were given.
        """
        self._opened()
        if message := self._next_of_frame():
            return message
        deadline = time.monotonic() + timeout
        while True:
            connection = self._opened()
            if message := self._take_waiting(connection):
                return message
            self._look_after(connection)
            now = time.monotonic()
            if now >= deadline:
                return None
            self._opened().poll(min(deadline, self._due_at(connection)) - now)

    def acknowledge(self, message: ReceivedMessage) -> None:
        """Say that the effect of ``message``, and of all before it, is safe.

        Reaches the relay soon, at the latest with the next :meth:`receive` that waits, or with
        :meth:`close`.
        """
        connection = self._opened()
        event_id = int(message.message_id)
        if self.last_id is None or event_id > self.last_id:
            raise ValueError(f"Event {event_id} was not received here.")
        self._acknowledged = max(self._acknowledged, event_id)
        self._unreported += 1
        now = time.monotonic()
        if self._unreported >= _REPORT_COUNT or now - self._reported_at >= _REPORT_SECONDS:
            self._report(connection, now)

    def _connect_anew(self) -> Connection:
        return Connection(self._connect, self._heartbeat, *self._keys)

    def _opened(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("The subscriber is not open.")
        return self._connection

    def _next_of_frame(self) -> ReceivedMessage | None:
        """Return the next event of the frame in hand that is not here yet."""
        while self._place < len(self._frame):
            try:
                message, self._place = decode_event(self._frame, self._place)
            except WireError:
                break
            if self._sequence.take(message.token):
                return message
        self._frame = b""
        return None

    def _take_waiting(self, connection: Connection) -> ReceivedMessage | None:
        """Return the next event that has arrived; gives up after much that is of no use."""
        for _ in range(_MAX_USELESS):
            frame = connection.receive()
            if frame is None:
                return None
            try:
                head = decode_head(frame)
            except WireError:
                continue
            verdict = self._sequence.judge(head)
            if verdict is Verdict.TAKE:
                self._frame, self._place = frame, FIRST_EVENT
                if message := self._next_of_frame():
                    self._patience.heard(time.monotonic())
                    return message
            elif verdict is Verdict.BEGIN:
                self._sequence.begin(head)
                self._patience.answered(time.monotonic())
            elif verdict is Verdict.DROP:
                # The answer to the last request comes behind it, on the same connection: to ask
                # once more would only make that one old as well.
                self._patience.heard(time.monotonic())
            elif time.monotonic() - self._patience.asked_at >= _HOLE_SECONDS:
                self._ask(connection)
        return None

    def _look_after(self, connection: Connection) -> None:
        """Do what is due while no event waits: ask, report, and hear of refusals."""
        found = connection.look()
        self._check_admitted(connection)
        now = time.monotonic()
        if not connection.established and now - connection.last_alive >= _RENEW_SECONDS:
            # libzmq gives up for good on a peer that once spoke another protocol.
            connection.close()
            self._connection = self._connect_anew()
            return
        if found:
            self._ask(connection)
            self._patience.renew()
        elif connection.established and now >= self._patience.ends_at:
            self._ask(connection)
        elif connection.established and self._news() != self._reported:
            self._report(connection, now)

    def _due_at(self, connection: Connection) -> float:
        """Return when there is something to do even if nothing arrives."""
        if connection.established:
            return self._patience.ends_at
        return connection.last_alive + _RENEW_SECONDS

    def _ask(self, connection: Connection) -> None:
        self._sequence.renew()
        now = time.monotonic()
        self._patience.asked(now)
        self._report(connection, now)
        if self._patience.unanswered == _UNANSWERED:
            _log.warning(
                "%s is there, but says nothing about exchange %r: does that relay send it?",
                self._connect,
                self._exchange_name,
            )

    def _report(self, connection: Connection, now: float) -> None:
        last_id, acknowledged_id = self._reported = self._news()
        self._reported_at = now
        self._unreported = 0
        connection.send(
            encode_request(
                Request(
                    self._sequence.nonce, last_id, acknowledged_id, self._name, self._exchange_name
                )
            )
        )

    def _news(self) -> tuple[int, int]:
        return (NO_ID if self.last_id is None else self.last_id, self._acknowledged)

    def _check_admitted(self, connection: Connection) -> None:
        if connection.refused:
            raise BrokerRefusedError(
                f"The relay at {self._connect} refuses subscriber {self._name!r}: its CURVE "
                "public key is not among the relay's curve_clients.",
                exchange_name=self._exchange_name,
            )
        if connection.failing:
            raise BrokerRefusedError(
                f"What listens at {self._connect} breaks every handshake with subscriber "
                f"{self._name!r}: {self._describe_keys()}.",
                exchange_name=self._exchange_name,
            )

    def _describe_keys(self) -> str:
        if self._keys[0] is None:
            return "it may want CURVE keys, which this subscriber does not have, or be no relay"
        return "its public key is not the one given here, or it is no relay with CURVE"
