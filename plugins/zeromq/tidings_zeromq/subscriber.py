"""The subscriber's side: for applications that read an exchange themselves."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Self

from pydantic import SecretStr

from tidings.plugins import Opening
from tidings_zeromq.contact import Contact, ContactTrouble
from tidings_zeromq.received_feed import Party, ReceivedFeed
from tidings_zeromq.selection import Selection
from tidings_zeromq.settings import DEFAULT_HEARTBEAT, check_address, check_key, check_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    import zmq

    from tidings.plugins import ReceivedMessage


class Subscriber:
    """Reads one exchange, event by event, from the relay that listens at ``connect``.

    What it yields ascends without a gap and without repeats from ``last_id`` on. That is so
    whatever dies and comes back: the relay, the network, or the subscriber itself. For the last,
    keep the last id together with the effect (in one transaction), and hand it in again::

        with Subscriber(connect="tcp://relay:5556", exchange_name="my-bc-app", name="app",
                        last_id=stored_last_id) as subscriber:
            for message in subscriber:
                with transaction:
                    ...                          # the effect, and int(message.message_id)
                subscriber.acknowledge(message)

    ``last_id``: 0 for everything from the first event on, or any id; ``None`` for "after what the
    exchange's required subscribers have". Then the relay, which forgets, is all the memory there
    is: events that were received and not acknowledged come again.

    ``store``: :attr:`store`, kept beside the last id. If the relay then has another event store (a
    new database, another application at that address), :meth:`receive` raises. It does not leave
    out the new events up to the last id. Without it only what this object itself has heard is
    compared.

    ``name``: if it stands in the relay's ``subscribers``, events count as accepted only when it
    has acknowledged them. One process at a time uses a name.

    ``routing_keys``: which events to get, of an exchange that has a routing key; ``*`` is a word
    between dots, ``#`` any number of words. :attr:`last_id` moves over the others, too. What was
    left out before does not come if other keys are asked for, unless ``last_id`` goes back.

    ``partition`` and ``partitions``: which partition to get, of how many the exchange has. One
    process of a name gets it at a time; another one waits, and goes on behind it. Each partition
    has a last id of its own.

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
        store: str | None = None,
        routing_keys: Sequence[str] | None = None,
        partition: int | None = None,
        partitions: int = 0,
        secret_key: str | SecretStr | None = None,
        relay_public_key: str | None = None,
        heartbeat: float = DEFAULT_HEARTBEAT,
    ) -> None:
        if (secret_key is None) != (relay_public_key is None):
            raise ValueError("CURVE takes both keys: secret_key and relay_public_key.")
        if last_id is not None and last_id < 0:
            raise ValueError("last_id is an event's id, 0 for all events, or None.")
        if partition is not None and not 0 <= partition < partitions:
            raise ValueError("partition is a number from 0 to partitions - 1.")
        selection = Selection(
            None if routing_keys is None else tuple(routing_keys),
            partition,
            partitions,
            secrets.token_hex(8),
        )
        if isinstance(secret_key, str):
            secret_key = SecretStr(secret_key)
        if secret_key is not None and relay_public_key is not None:
            check_key(secret_key.get_secret_value())
            check_key(relay_public_key)
        self._party = Party(
            check_address(connect),
            check_name(exchange_name, "an exchange"),
            check_name(name),
            secret_key,
            relay_public_key,
            heartbeat,
        )
        self._feed = ReceivedFeed(self._party, last_id, store or "", selection.encode())
        self._trouble = ContactTrouble(self._party)
        self._opening = Opening[Contact]()

    @property
    def last_id(self) -> int | None:
        """The newest event received; what to begin with when it was stored with its effect.

        Or a newer one that was not asked for, if all that was asked for before it has come.
        """
        return self._feed.last_id

    @property
    def store(self) -> str:
        """The identity of the event store that the ids are of, as the relay has said it.

        To be stored beside :attr:`last_id`, and handed in again with it. Empty before the relay
        has answered, and if the relay's store has none.
        """
        return self._feed.store

    @property
    def gone(self) -> range | None:
        """The ids that were asked for and deleted before: they stay out. ``None``: there are none.

        An id in it need not have been an event's. The newest such range since :meth:`open`; each
        is also logged as a warning.
        """
        return self._feed.gone

    def open(self) -> None:
        """Connect. The relay need not be there yet: it is found when it comes.

        After a :meth:`close`, begins behind the last event acknowledged.
        """
        self._opening.begin(self._party.exchange_name, self._connect)

    def close(self) -> None:
        """Tell the relay the last acknowledgement, and hang up. Idempotent, never raises."""
        if contact := self._opening.end():
            contact.close()

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
        """Return the next message, or ``None`` if none came within ``timeout`` seconds.

        Raises :class:`~tidings.errors.BrokerRefusedError` if the relay refuses our CURVE key, or is
        not the one whose public key we were given. So it does if the relay's events are of another
        store than those received.
        """
        contact = self._opening.connection
        if message := self._feed.next_event():
            return message
        deadline = time.monotonic() + timeout
        while True:
            if message := contact.take_waiting():
                return message
            contact.look_after()
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            contact.poll(left)

    def watch(self, poller: zmq.Poller) -> float:
        """Let a poller tell when :meth:`receive` may have something, for who reads from several.

        Return in how many seconds it is to be called even if nothing arrives.
        """
        return self._opening.connection.watch(poller)

    def acknowledge(self, message: ReceivedMessage) -> None:
        """Say that the effect of ``message``, and of all before it, is safe.

        Reaches the relay soon, at the latest with the next :meth:`receive` that waits, or with
        :meth:`close`.
        """
        contact = self._opening.connection
        self._feed.acknowledge(int(message.message_id))
        contact.acknowledged()

    def _connect(self, _exchange_name: str) -> Contact:
        self._feed.begin()
        return Contact(self._party, self._feed, self._trouble)
