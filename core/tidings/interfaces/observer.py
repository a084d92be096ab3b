"""Who wants to know what the relay does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidings.event import StoredEvent
    from tidings.interfaces.event_store import Hold
    from tidings.interfaces.lease import Lease
    from tidings.interfaces.observed_relay import Exposition, ObservedRelay
    from tidings.interfaces.pause import Pause


@dataclass(frozen=True, slots=True)
class AcceptedBatch:
    """Events that the broker has accepted since its word was last asked for."""

    count: int

    last_event_id: int
    """Up to which the exchange has had everything."""

    seconds_since_occurred: float
    """Since the ``occurred_on`` of the first of them; at least 0. That is when the application made
    the event, unless it said otherwise: before the commit, which nothing notes. By two clocks,
    those of the machine that recorded the event and of this one."""

    seconds_since_sent: float
    """Since the first of them was handed to the producer."""

    in_flight: int
    """How many were sent behind them, and are not accepted yet."""


class Observer:
    """Is told what a relay does: for metrics and alarms. Override what you need.

    **Batches.** No call is made for a single event, however many are sent: an observer's share of
    the relay's time stays small.

    **Safety.** An observer that raises is logged, and never stops a delivery.

    **Threads.** Calls come from the relay's threads, one exchange's calls in order, several
    exchanges' at once. Return quickly: the exchange waits.

    **Who tells.** A worker tells all of this. A service works once and returns, or raises; it tells
    of the lease, and of what is sent, accepted, published, unroutable, quarantined and spent.
    """

    def attached(self, relay: ObservedRelay) -> None:
        """Hear, before anything else, what may be asked about the relay.

        Told if a configuration names the observer, not if a program gives it to a route.
        """

    def exposition(self, accept: str) -> Exposition | None:  # noqa: ARG002 - to be overridden
        """Return what to show to those who ask over HTTP for ``/metrics``; ``None``: nothing.

        ``accept`` is the request's header of that name, or empty. Called by threads that serve
        HTTP, of which several may ask at once. Of several observers the first that has something is
        heard.
        """
        return None

    def started(self, exchange_name: str) -> None:
        """Hear that the relay begins with the exchange, whether it gets the lease or not."""

    def ended(self, exchange_name: str, error: Exception | None) -> None:
        """Hear that the relay has ended with the exchange; ``error`` if that ended the relay."""

    def lease_taken(self, exchange_name: str, lease: Lease) -> None:
        """Hear that this relay holds the exchange now; ``lease.taken_from`` says in whose place.

        Each run of an exchange begins so, the first one and those after a failure.
        """

    def lease_released(self, exchange_name: str) -> None:
        """Hear that the lease was given back, or left to run out, at the end of a run."""

    def lease_lost(self, exchange_name: str) -> None:
        """Hear that another relay, or a replay, took the lease; the run has ended."""

    def sent(self, exchange_name: str, events: Sequence[StoredEvent]) -> None:
        """Hear that ``events``, one or more, are handed to the producer now, in one call.

        :meth:`accepted` never tells of what the producer refuses, or of what fails. That is sent
        again later, with another call, or put in quarantine. A large body, or large metadata,
        belongs to the event: keep neither.
        """

    def accepted(self, exchange_name: str, batch: AcceptedBatch) -> None:
        """Hear that the broker has accepted ``batch``; the position is yet to be tracked."""

    def published(self, exchange_name: str, count: int, last_event_id: int) -> None:
        """Hear that ``count`` more events, up to ``last_event_id``, were accepted and tracked."""

    def unroutable(self, exchange_name: str, count: int) -> None:
        """Hear that ``count`` more messages reached nobody, which the producer's settings let pass.

        They count as accepted, and so as published.
        """

    def spent(self, exchange_name: str, seconds: Mapping[str, float]) -> None:
        """Hear how long the exchange was in each stage since the last such call.

        The stages: ``read`` from the event store, ``serialize``, ``send`` (and wait for room in the
        producer's window), ``await`` the broker's word, ``track`` the position. A stage without
        time is left out. The rest of the time the exchange was idle. Told about once a second while
        something is done, and at the end of a run.
        """

    def idle(self, exchange_name: str) -> None:
        """Hear that there is nothing to send, once, until there is again."""

    def held(self, exchange_name: str, hold: Hold) -> None:
        """Hear that a transaction which may still commit a lower id keeps the relay waiting."""

    def no_longer_held(self, exchange_name: str, missing_id: int, seconds: float) -> None:
        """Hear that the hold that was told of, for ``missing_id``, is over after ``seconds``."""

    def quarantined(self, exchange_name: str, event_id: int, reason: str) -> None:
        """Hear that an event that can never be sent was put in quarantine, and passed."""

    def failed(self, exchange_name: str, error: Exception, retry_in: float) -> None:
        """Hear that a run ended with ``error``; the next one begins in ``retry_in`` seconds."""

    def recovered(self, exchange_name: str, seconds: float) -> None:
        """Hear that the exchange works again, ``seconds`` after it first failed."""

    def paused(self, exchange_name: str, pause: Pause) -> None:
        """Hear that somebody has paused the exchange; the relay gave its lease back and waits."""

    def resumed(self, exchange_name: str) -> None:
        """Hear that the exchange is paused no longer, and the relay goes on or stands by."""

    def standing_by(self, exchange_name: str, owner: str) -> None:
        """Hear that another relay, ``owner``, works on the exchange, and this one waits."""
