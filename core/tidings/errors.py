"""What can go wrong, as a tree.

::

    TidingsError
    ├── ConfigurationError          the configuration does not say what it must
    ├── PluginError                 a backend cannot be had
    │   ├── UnknownBackendError     nothing installed has that name
    │   ├── MissingLibraryError     an extra is not installed
    │   └── BrokenPluginError       a plugin is there, and does not work
    ├── EventStoreError             the database said no
    │   ├── InvalidEventError       an event that cannot be stored
    │   ├── StoreUnavailableError   not reachable just now                        (transient)
    │   ├── StoreNotReadyError      tables missing, or of another version
    │   ├── UnreadableEventError    this one row cannot be read
    │   ├── UnsafeStoreError        the order of commits, or a rollback, cannot be kept here
    │   └── PositionMismatchError   the position is not of this store
    │       ├── NotYetStoredError   a replay set it beyond the newest event           (transient)
    │       └── BrokerMismatchError the broker has an event that is not of this store
    ├── LeaseError                  somebody else relays this exchange
    │   ├── LeaseHeldError          held by another relay                         (transient)
    │   └── LeaseLostError          was ours, and is no longer                    (transient)
    ├── ExchangePausedError         somebody has paused this exchange
    └── DeliveryError               the broker did not accept
        ├── BrokerUnavailableError  not reachable, or it stopped answering        (transient)
        ├── ExchangeLockedError     the broker knows another publisher            (transient)
        ├── NotAcceptedError        nacked, returned, or a queue is full          (transient)
        ├── BrokerRefusedError      login, permission, or a precondition
        ├── OutputClosedError       whoever read our output has gone               (final)
        └── UndeliverableEventError this one event can never be sent

*Transient* means that the same call may succeed later without anybody's doing;
the worker retries those soon. It retries the others too, at growing intervals,
because an operator may mend them while it runs. *Final* means that nothing but
another process can help: the worker stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class TidingsError(Exception):
    """The root of every error that tidings raises on purpose.

    ``str()`` of it is a sentence for a person: what failed, and what to do. It holds no secret.
    """

    transient: ClassVar[bool] = False
    """Whether the same call may succeed later without anybody's doing."""

    final: ClassVar[bool] = False
    """Whether no later call of this process can succeed, whatever anybody does."""


class ConfigurationError(TidingsError):
    """The configuration does not say what it must; ``problems`` holds every one found."""

    def __init__(self, problems: Sequence[str], source: str = "") -> None:
        self.problems = list(problems)
        self.source = source
        where = f"{source}: " if source else ""
        super().__init__("\n".join(f"{where}{problem}" for problem in self.problems))


class PluginError(TidingsError):
    """A backend cannot be had."""


class UnknownBackendError(PluginError):
    """Nothing that is installed offers a backend of that name."""


class MissingLibraryError(PluginError):
    """The library behind a backend is not installed; the message holds the pip command."""


class BrokenPluginError(PluginError):
    """A plugin is installed and does not work; the message names it and its distribution."""


class EventStoreError(TidingsError):
    """The event store, or the tracker beside it, could not do what was asked."""


class InvalidEventError(EventStoreError):
    """An event that cannot be stored; nothing of the same call was stored."""


class StoreUnavailableError(EventStoreError):
    """The database is not reachable just now."""

    transient: ClassVar[bool] = True


class StoreNotReadyError(EventStoreError):
    """The tables are missing, or made by another version of tidings."""


class UnreadableEventError(EventStoreError):
    """This one event's row cannot be read: its time is none, its text is no text.

    ``type_name`` is the event's, or ``None`` if that cannot be read either.
    """

    def __init__(self, message: str, *, event_id: int, type_name: str | None = None) -> None:
        self.event_id = event_id
        self.type_name = type_name
        super().__init__(message)


class UnsafeStoreError(EventStoreError):
    """Here the order of commits cannot be known, or what is written cannot be rolled back.

    By this database, these settings, or this connection.
    """


class PositionMismatchError(EventStoreError):
    """The tracked position is not one of this event store: restored, truncated, or another."""


class NotYetStoredError(PositionMismatchError):
    """A replay set the position beyond the newest event: there is nothing to send until then."""

    transient: ClassVar[bool] = True


class BrokerMismatchError(PositionMismatchError):
    """The newest event that the broker has is not one of this event store."""


class LeaseError(TidingsError):
    """Another relay works on this exchange."""

    transient: ClassVar[bool] = True


class LeaseHeldError(LeaseError):
    """The lease is held by another relay, named by ``owner``, in its ``epoch``."""

    def __init__(self, exchange_name: str, owner: str, epoch: int, seconds_left: float) -> None:
        self.exchange_name = exchange_name
        self.owner = owner
        self.epoch = epoch
        self.seconds_left = seconds_left
        super().__init__(
            f"Exchange {exchange_name!r} is relayed by {owner}; its lease runs for another "
            f"{max(seconds_left, 0):.0f} s. Wait for it, or stop that relay."
        )


class LeaseLostError(LeaseError):
    """The lease was ours, and we can no longer be sure of it; no position was moved."""

    def __init__(self, exchange_name: str) -> None:
        self.exchange_name = exchange_name
        super().__init__(
            f"This relay has lost the lease of exchange {exchange_name!r}, and has not moved its "
            "position. Another relay took the exchange over while this one was frozen or cut off, "
            "or somebody replayed it. Or the database was too slow to renew the lease in time. "
            "Nothing is lost: the next run goes on from the tracked position."
        )


class ExchangePausedError(TidingsError):
    """Somebody has paused this exchange, so that no relay carries it."""

    def __init__(
        self, exchange_name: str, paused_by: str, reason: str | None, paused_on: datetime
    ) -> None:
        self.exchange_name = exchange_name
        self.paused_by = paused_by
        self.reason = reason
        self.paused_on = paused_on
        why = f" ({reason})" if reason else ""
        super().__init__(
            f"Exchange {exchange_name!r} is paused by {paused_by} since "
            f"{paused_on:%Y-%m-%d %H:%M:%S} UTC{why}. `tidings resume {exchange_name}` lets it go "
            "on."
        )


class DeliveryError(TidingsError):
    """The broker did not accept what was sent.

    ``event_id`` is the event that failed, if it is known.
    """

    def __init__(self, message: str, *, exchange_name: str, event_id: int | None = None) -> None:
        self.exchange_name = exchange_name
        self.event_id = event_id
        super().__init__(message)


class BrokerUnavailableError(DeliveryError):
    """The broker cannot be reached, or has stopped answering."""

    transient: ClassVar[bool] = True


class ExchangeLockedError(DeliveryError):
    """The broker itself says that another publisher holds this exchange."""

    transient: ClassVar[bool] = True


class NotAcceptedError(DeliveryError):
    """The broker took the message and gave it back: nacked, unroutable, a queue is full."""

    transient: ClassVar[bool] = True


class BrokerRefusedError(DeliveryError):
    """The broker refuses us until somebody changes something: login, permission, precondition."""


class OutputClosedError(DeliveryError):
    """The process's own output, which stands for the broker, was closed by whoever read it."""

    final: ClassVar[bool] = True


class UndeliverableEventError(DeliveryError):
    """This one event can never be sent as it is: it cannot be encoded, or is too large."""
