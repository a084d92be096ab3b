"""How events reach a broker."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from tidings.interfaces.published_message_tracker import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime


class NotificationMessage(NamedTuple):
    """What a serializer makes of an event, ready for the wire."""

    body: bytes
    content_type: str
    headers: Mapping[str, str]
    """Texts that travel beside the body: ``aggregate_id``, ``metadata``. Any Unicode text, line
    breaks and quotation marks included: where the protocol cannot hold one, encode it, and decode
    it in the consumer. ``UndeliverableEventError`` is for what no encoding helps, as its length."""


class Notification(NamedTuple):
    """The arguments of one :meth:`MessageProducer.send`, less the exchange's name."""

    message: NotificationMessage
    type_name: str
    event_id: int
    occurred_on: datetime


class MessageProducer(ABC):
    """Sends notifications to one kind of broker.

    **Order.** What is sent to one exchange arrives there in the order of the calls of
    :meth:`send`. Ids ascend; they need not be contiguous.

    **Acceptance.** "Accepted" is the broker's own word for having the message safely (a confirm, a
    receipt, an acknowledgement), never "the socket took it". A message that the broker gave back,
    or could route to nobody, is not accepted: :class:`~tidings.errors.NotAcceptedError`.

    **Failure.** When a call raises, the exchange is as good as closed: :meth:`accepted_id` still
    tells how far the broker's word goes, the caller then calls :meth:`close`, may :meth:`open`
    again, and sends anew what was not accepted. Nothing is dropped silently, nothing is sent again
    by the producer itself after a failure.

    **Poison.** :class:`~tidings.errors.UndeliverableEventError` means that an event can never be
    sent as it is. Raised by the :meth:`send` of that very event, the exchange stays usable. A
    broker may also refuse an event that was sent before: then the exchange has failed as above,
    and ``event_id`` says which it was; ``None`` where the broker doesn't, and the producer finds
    out when the same events are sent again.

    **Deadlines.** No call blocks for ever: a broker that stops answering ends in
    :class:`~tidings.errors.BrokerUnavailableError` after the producer's own no-progress time.

    **Names.** An exchange's name has 1 to 127 ASCII letters, digits, dots, dashes or underscores,
    and begins with a letter or digit. The configuration sees to it.

    **Threads.** One object is used by one thread at a time; it may serve several exchanges, which
    don't disturb each other. Making it connects to nothing.

    **Errors** are those below :class:`~tidings.errors.DeliveryError`, each a sentence that names
    the exchange and, where it is known, the event. They hold no secret.
    """

    on_accepted: Callable[[str], None] | None = None
    """Set by the service, to track what is accepted while a call of ours still runs.

    To be called with the exchange's name, from within :meth:`send`, :meth:`flush` or :meth:`wait`
    and by their thread, before more than a window is under way that is not accepted, or accepted
    and not asked for with :meth:`accepted_id` since. It may raise, which ends the call. Where the
    broker remembers ids there is no need; a producer that never calls it is a producer of which a
    crash has a window and a batch sent again, in place of a window.
    """

    @abstractmethod
    def open(self, exchange_name: str, position: Position = Position()) -> None:  # noqa: B008 - immutable
        """Connect and make sure of what the exchange needs on the broker.

        ``position`` is where the exchange stands; a producer that keeps nothing on the broker has
        no use for it. Opening an open exchange is an error of the caller (``RuntimeError``); an
        exchange may be opened again after :meth:`close`.

        ``tidings check`` opens the exchange, too, perhaps while a relay runs. Where the broker lets
        one connection take another's place, the relay is disconnected, and connects again.
        """

    @abstractmethod
    def send(
        self,
        exchange_name: str,
        notification_message: NotificationMessage,
        notification_type: str,
        notification_id: int,
        notification_occurred_on: datetime,
    ) -> None:
        """Hand one notification over to be sent; returns perhaps before the broker has it.

        Blocks while the producer's window is full. Raises
        :class:`~tidings.errors.UndeliverableEventError`, with nothing of this event sent and the
        exchange still usable, where this very event can never be sent.
        """

    @abstractmethod
    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        """Return when the broker has accepted everything sent, or raise.

        ``timeout`` in seconds; ``None`` leaves it to the producer's no-progress time. Raises
        :class:`~tidings.errors.BrokerUnavailableError` when it has passed.
        """

    @abstractmethod
    def accepted_id(self, exchange_name: str) -> int | None:
        """Return the greatest id up to which *everything sent* since ``open`` was accepted.

        ``None`` before the first. Never goes down while the exchange is open; does not block; may
        be asked after a failure until :meth:`close`.

        The service asks after each batch that it has read (``batch_size`` of the exchange), and
        when it flushes or stops, and when :attr:`on_accepted` is called, and then moves the
        tracker. A relay that dies sends everything after that again, unless the broker remembers
        ids.
        """

    @abstractmethod
    def close(self, exchange_name: str) -> None:
        """Let go of the exchange. Idempotent, never raises, waits for nothing sent."""

    def most_recent_accepted_id(self, exchange_name: str) -> int | None:
        """Return the newest id that the broker itself already holds from us, or ``None``.

        Asked after :meth:`open`, by the service, only where the spec declares
        ``Capability.MOST_RECENT_ACCEPTED_ID``: the service then starts after it, and so publishes
        nothing twice after a crash. Says ``None`` for what the broker remembers of another
        generation than the one given to ``open``.
        """
        raise NotImplementedError

    def wait(self, exchange_name: str, seconds: float) -> None:  # noqa: ARG002 - for those who override
        """Pass up to ``seconds`` idly, doing what the connection needs meanwhile.

        Heartbeats, acknowledgements, late subscribers. May return early. Raises where the
        connection is found lost, so that an idle relay notices.
        """
        time.sleep(seconds)
