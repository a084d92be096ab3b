"""One open exchange: what the author of a backend writes."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tidings.interfaces.lease import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces.notification import Accepted, Notification


def nothing() -> None:
    """Do nothing: for a caller that tracks nothing while a call of the exchange's runs."""


@dataclass(frozen=True, slots=True)
class ExchangeContext:
    """What a producer is given for the exchange that it opens."""

    exchange_name: str

    position: Position = Position()  # noqa: RUF009 - immutable
    """Where the exchange stands. A producer that keeps something on the broker keeps the position's
    generation and store with each event's id. Another one has no use for it."""

    on_accepted: Callable[[], None] = nothing
    """To be called when more was accepted, so that it is tracked while a call of ours still runs.

    Call it from within :meth:`OpenExchange.send` or ``flush``, by their thread. Call it before more
    than a window is in flight that is not accepted, or accepted and not tracked. What
    :meth:`OpenExchange.accepted_id` told is tracked when the next call comes, unless that is
    ``wait``. Don't call it from within ``wait``, which runs while the database is waited for. It
    may raise, which ends the call. It may block for as long as the database does: another thread
    may call ``wait`` until it returns. If the broker remembers ids, there is no need. If a producer
    never calls it, a crash has a window and a batch sent again, in
    place of a window."""

    memory: dict[str, Any] = field(default_factory=dict)
    """What one opening of this exchange leaves to the next one: the same dictionary each time, as
    long as the producer lives. The producer alone reads and writes it."""

    partitions: int = 0
    """How many partitions the exchange has (``Capability.PARTITIONS``); 0 if it is not parted."""

    partition_by: str = ""
    """Which field of an event decides about its partition, as the configuration says. With another
    field, or another number, events belong to other partitions. What a broker remembers of each
    partition then says nothing of the events that belong there now."""


class OpenExchange(ABC):
    """One exchange on one connection, from its opening until it is closed or something fails.

    **Order.** What is sent arrives in the order of the calls of :meth:`send`, and within a call in
    the order given. Ids ascend; they need not be contiguous.

    **Acceptance.** "Accepted" is the broker's own word for having the message safely (a confirm, a
    receipt, an acknowledgement), never "the socket took it". A message that the broker gave back,
    or could route to nobody, is not accepted: :class:`~tidings.errors.NotAcceptedError`.

    **Failure.** When a call raises, the exchange is as good as closed: :meth:`accepted_id` still
    tells how far the broker's word goes. The caller then calls :meth:`close`, may open the exchange
    again, and sends again what was not accepted. Nothing is dropped silently, nothing is sent again
    by the producer itself after a failure.

    **Poison.** :class:`~tidings.errors.UndeliverableEventError` means that an event can never be
    sent as it is. If the :meth:`send` that was given this very event raises it, the exchange stays
    usable. What came before it was taken, nothing from it on was. A broker may also refuse an event
    that was sent in an earlier call. Then the exchange has failed as above, and ``event_id`` says
    which event it was. It is ``None`` if the broker doesn't say: the producer finds out when the
    same events are sent again.

    **Deadlines.** No call blocks for ever: a broker that stops answering ends in
    :class:`~tidings.errors.BrokerUnavailableError` after the producer's own no-progress time.

    **Threads.** One object is used by one thread at a time, not always by the same one. While the
    relay waits for the database, another thread calls :meth:`wait`.

    **Errors** are those below :class:`~tidings.errors.DeliveryError`, each a sentence that names
    the exchange and, if it is known, the event. They hold no secret, and nothing of a body.
    """

    longest_silence: float = 1.0
    """Seconds for which an idle relay may leave out :meth:`wait`, while it waits for events."""

    @abstractmethod
    def send(self, notifications: Sequence[Notification]) -> None:
        """Hand notifications over to be sent; returns perhaps before the broker has them.

        Blocks while the producer's window is full. The window is bounded in messages and in bytes.
        Raises :class:`~tidings.errors.UndeliverableEventError` as *Poison* above says.
        """

    @abstractmethod
    def flush(self, timeout: float | None = None) -> None:
        """Return when the broker has accepted everything sent, or raise.

        ``timeout`` is in seconds; ``None`` leaves it to the producer's no-progress time. Raises
        :class:`~tidings.errors.BrokerUnavailableError` when it has passed.
        """

    @abstractmethod
    def accepted_id(self) -> int | None:
        """Return the greatest id up to which *everything sent* was accepted.

        ``None`` before the first. Never goes down; does not block; may be asked after a failure
        until :meth:`close`.

        The relay asks after each batch that it has read (``batch_size`` of the exchange), when it
        flushes or stops, and when ``on_accepted`` is called. Then it moves the tracker. After small
        batches that follow each other closely it does so every 50 ms, or when they make a whole
        one. If a relay dies, everything after that is sent again, unless the broker remembers ids.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the exchange. Called once; never raises, waits for nothing sent."""

    def most_recent_accepted(self) -> Accepted | None:
        """Return the newest event that the broker itself already holds from us, or ``None``.

        Asked before the first :meth:`send`, only of a producer that declares
        ``Capability.MOST_RECENT_ACCEPTED``. The relay compares it with the event store. If it is
        the same event, the relay starts after it, and so publishes nothing twice after a crash. The
        broker may remember an event of another generation, or of another store, than those of the
        position. Then say so, or ``None``. Opening the exchange leaves that memory as it is.
        """
        raise NotImplementedError

    def accepted_ahead(self) -> Sequence[Accepted]:
        """Return the newest event of each partition, if the broker remembers those apart.

        Asked after :meth:`most_recent_accepted`, which then goes as far as every partition does.
        Each is compared with the event store likewise. What lies between is sent once more, and the
        broker drops what it has.
        """
        return ()

    def unroutable_count(self) -> int:
        """Return how many messages reached nobody since the exchange was opened.

        Only those that its settings let pass, and that count as accepted. The relay asks when it
        asks for :meth:`accepted_id`, and tells observers.
        """
        return 0

    def wait(self, seconds: float) -> None:
        """Pass up to ``seconds`` idly, doing what the connection needs meanwhile.

        Heartbeats, acknowledgements, late subscribers. With 0 it does what is due, and waits for
        nothing: an idle relay calls it so, every ``longest_silence``. May return early, and should
        if that settles the last message in flight. Raises if the connection is found lost, so that
        an idle relay notices. May also raise what :meth:`flush` would, of messages in flight. With
        ``Capability.WAIT_SETTLES`` it does so when the no-progress time is over.
        """
        time.sleep(seconds)
