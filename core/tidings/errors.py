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
    │   ├── StoreUnavailableError   not reachable just now                        (passes)
    │   ├── StoreNotReadyError      tables missing, or of another version
    │   ├── UnsafeStoreError        the order of commits cannot be known here
    │   └── PositionMismatchError   the position is not of this store
    ├── LeaseError                  somebody else relays this exchange
    │   ├── LeaseHeldError          held by another relay                         (passes)
    │   └── LeaseLostError          was ours, and is no longer                    (passes)
    └── DeliveryError               the broker did not accept
        ├── BrokerUnavailableError  not reachable, or it stopped answering        (passes)
        ├── ExchangeLockedError     the broker knows another publisher            (passes)
        ├── NotAcceptedError        nacked, returned, or a queue is full          (passes)
        ├── BrokerRefusedError      login, permission, or a precondition
        └── UndeliverableEventError this one event can never be sent

*Passes* means that the same call may succeed later without anybody's doing;
the worker retries those soon. It retries the others too, at growing intervals,
because an operator may mend them while it runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class TidingsError(Exception):
    """The root of every error that tidings raises on purpose.

    ``str()`` of it is a sentence for a person: what failed, and what to do. It holds no secret.
    """

    passes: ClassVar[bool] = False
    """Whether the same call may succeed later without anybody's doing."""


class ConfigurationError(TidingsError):
    """The configuration does not say what it must; ``problems`` holds every fault found."""

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

    passes: ClassVar[bool] = True


class StoreNotReadyError(EventStoreError):
    """The tables are missing, or made by another version of tidings."""


class UnsafeStoreError(EventStoreError):
    """On this database, or with these settings, the order of commits cannot be known."""


class PositionMismatchError(EventStoreError):
    """The tracked position is not one of this event store: restored, truncated, or another."""


class LeaseError(TidingsError):
    """Another relay works on this exchange."""

    passes: ClassVar[bool] = True


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
    """The lease was ours, and another relay has taken it; no position was moved."""

    def __init__(self, exchange_name: str) -> None:
        self.exchange_name = exchange_name
        super().__init__(
            f"Another relay has taken exchange {exchange_name!r} over, or it was replayed, while "
            "this one was paused or cut off. Its position was not moved by this relay."
        )


class DeliveryError(TidingsError):
    """The broker did not accept what was sent.

    ``event_id`` is the event that failed, where it is known.
    """

    def __init__(self, message: str, *, exchange_name: str, event_id: int | None = None) -> None:
        self.exchange_name = exchange_name
        self.event_id = event_id
        super().__init__(message)


class BrokerUnavailableError(DeliveryError):
    """The broker cannot be reached, or has stopped answering."""

    passes: ClassVar[bool] = True


class ExchangeLockedError(DeliveryError):
    """The broker itself says that another publisher holds this exchange."""

    passes: ClassVar[bool] = True


class NotAcceptedError(DeliveryError):
    """The broker took the message and gave it back: nacked, unroutable, a queue is full."""

    passes: ClassVar[bool] = True


class BrokerRefusedError(DeliveryError):
    """The broker refuses us until somebody changes something: login, permission, precondition."""


class UndeliverableEventError(DeliveryError):
    """This one event can never be sent as it is: it cannot be encoded, or is too large."""
