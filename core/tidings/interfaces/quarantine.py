"""What keeps the events that an exchange passed over because they can never be sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tidings.event import StoredEvent
    from tidings.interfaces.lease import Lease


class QuarantinedEvent(NamedTuple):
    """An event that its exchange has not had, and has passed."""

    exchange_name: str
    event_id: int
    type_name: str
    reason: str
    """Why it could not be sent, the last time that it was tried."""
    quarantined_on: datetime
    """When that was: UTC."""
    retry_asked: bool = False
    """Whether somebody asked for it to be sent again, and no relay has tried yet."""


class Quarantine:
    """The part of a tracker that keeps what ``on_poison = "quarantine"`` passes over.

    Its methods are called only if the tracker declares ``Capability.QUARANTINE``.

    The event itself stays in the event store; here stand its id and the reason.

    **Order of things.** An event is here before the exchange's position is beyond it. It leaves
    only when the broker has accepted it, when somebody drops it, or when a replay sets the position
    back before it. So none is lost between the two, and none is sent by both.

    **Durability**, **Threads** and **Errors** are those of the tracker.
    """

    def quarantine(self, exchange_name: str, event: StoredEvent, reason: str, lease: Lease) -> None:
        """Note the event and move the exchange's position to it, in one step; renew the lease.

        The position's fingerprint is that of an event without a type name, which may be mended.
        It is ``fingerprint_of("", event.occurred_on)``.
        The position never goes back. An event that is here already has its reason replaced.
        Raises :class:`~tidings.errors.LeaseLostError`, with nothing changed, if the lease is no
        longer the newest.
        """
        raise NotImplementedError

    def quarantined_events(
        self, exchange_name: str | None = None, *, retry_asked: bool = False
    ) -> Sequence[QuarantinedEvent]:
        """Return those of one exchange, or of all, by exchange and id.

        ``retry_asked``: only those that somebody wants to be sent again.
        """
        raise NotImplementedError

    def count_quarantined(self) -> Mapping[str, int]:
        """Return how many there are of each exchange that has any.

        As it is here, it looks through all of them. There may be very many, and metrics ask for
        this: a tracker that can count should.
        """
        return Counter(each.exchange_name for each in self.quarantined_events())

    def ask_to_retry(self, exchange_name: str, event_id: int | None = None) -> int:
        """Ask the exchange's relay to send one event again, or all; return how many there are."""
        raise NotImplementedError

    def note_retry(self, event_id: int, reason: str | None, lease: Lease) -> None:
        """Note how sending an event again ended, and renew the lease.

        ``reason`` is ``None`` if the broker accepted it: it leaves the quarantine. Otherwise it
        stays, with that reason. The position stays as it is. Raises
        :class:`~tidings.errors.LeaseLostError`, with nothing changed, if the lease is no longer
        the newest.
        """
        raise NotImplementedError

    def drop_quarantined(self, exchange_name: str, event_id: int) -> bool:
        """Forget that event: the exchange will never have it. Return whether it was there."""
        raise NotImplementedError
