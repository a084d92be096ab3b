"""Uses a producer as the relay does, watching every call."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tidings.errors import DeliveryError, NotAcceptedError
from tidings.interfaces import Accepted, Capability, MessageProducer, Notification, Position
from tidings.testing._judging import broken, check
from tidings.testing._own_thread import HungError, OwnThread
from tidings.testing.promises import Producer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidings.interfaces import OpenExchange

Result = TypeVar("Result")

NO_SUBSCRIBER = (
    "If open() makes no queue for a subscriber, and nobody subscribed before, messages go "
    "nowhere: override the fixture `subscribe`."
)


@dataclass(slots=True)
class DeliveryFailures:
    """What went wrong during one delivery."""

    errors: list[DeliveryError] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    """How far the broker's word went at each failure."""


class DrivenProducer:
    """A producer whose calls all run on one thread of its own, each with a deadline."""

    def __init__(
        self,
        make: Callable[[], MessageProducer],
        patience: float,
        capabilities: frozenset[Capability],
        secrets: Sequence[str],
    ) -> None:
        self._patience = patience
        self._capabilities = capabilities
        self._secrets = secrets
        self._thread = OwnThread()
        self._accepted: dict[str, int | None] = {}
        self._opened: dict[str, OpenExchange | None] = {}
        self._hung = self._ended = False
        self.producer = self._call("making it", make)
        check(
            isinstance(self.producer, MessageProducer),
            "a plugin's factory returns a MessageProducer",
            f"make_producer returned {self.producer!r}, which is no MessageProducer.",
        )

    def open(
        self,
        exchange_name: str,
        position: Position = Position(),  # noqa: B008 - immutable
        partitions: int = 0,
    ) -> None:
        self._opened[exchange_name] = None
        self._accepted.pop(exchange_name, None)
        self._opened[exchange_name] = self._call(
            "open()",
            lambda: self.producer.open(exchange_name, position, partitions=partitions),
            exchange_name,
        )

    def send(self, exchange_name: str, notifications: Sequence[Notification]) -> None:
        """Send all, and see after each that what is accepted never goes down."""

        def send() -> None:
            for notification in notifications:
                self.producer.send(exchange_name, *notification)
                self._watch(exchange_name, notification.event_id)

        seconds = self._patience + len(notifications) * 0.01
        self._call("send()", send, exchange_name, seconds=seconds)

    def send_batch(self, exchange_name: str, notifications: Sequence[Notification]) -> None:
        """Send all in one call of the open exchange."""
        exchange = self._opened[exchange_name]
        assert exchange is not None, f"{exchange_name} is not open"
        self._call("send()", lambda: exchange.send(notifications), exchange_name)

    def flush(self, exchange_name: str, timeout: float | None = None) -> None:
        self._call("flush()", lambda: self.producer.flush(exchange_name, timeout), exchange_name)

    def wait(self, exchange_name: str, seconds: float) -> None:
        """Pass time idly."""
        self._call("wait()", lambda: self.producer.wait(exchange_name, seconds), exchange_name)

    def accepted_id(self, exchange_name: str) -> int | None:
        """Return how far the broker's word goes."""
        return self._call("accepted_id()", lambda: self.producer.accepted_id(exchange_name))

    def most_recent_accepted(self, exchange_name: str) -> Accepted | None:
        """Return what the broker says it holds."""
        return self._call(
            "most_recent_accepted()",
            lambda: self.producer.most_recent_accepted(exchange_name),
            exchange_name,
        )

    def close(self, exchange_name: str) -> None:
        """Close, and see that it never raises."""
        try:
            self._call("close()", lambda: self.producer.close(exchange_name))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            broken(Producer.CLOSE, f"close() raised {error!r}.")

    def deliver(
        self,
        exchange_name: str,
        notifications: Sequence[Notification],
        at: Mapping[int, Callable[[], None]] | None = None,
        *,
        after: int = 0,
        seconds: float = 60.0,
    ) -> DeliveryFailures:
        """Deliver everything as a relay would: after a transient failure it tries again.

        ``at`` says what is to happen before the event of that id is sent, once; ``after`` is the
        last id that was accepted before. Leaves the exchange open.
        """
        failures, happenings, tracked = DeliveryFailures(), dict(at or {}), after
        deadline = time.monotonic() + seconds
        while True:
            opened = False
            try:
                self.open(exchange_name, Position(tracked))
                opened = True
                start = max(tracked, self._remembered_by_broker(exchange_name))
                for notification in notifications:
                    if notification.event_id > start:
                        happenings.pop(notification.event_id, _nothing)()
                        self.send(exchange_name, [notification])
                self.flush(exchange_name)
            except DeliveryError as error:
                if opened:
                    tracked = max(tracked, self.accepted_id(exchange_name) or 0)
                self.close(exchange_name)
                failures.errors.append(error)
                failures.accepted.append(tracked)
                if not error.transient or time.monotonic() > deadline:
                    broken(
                        Producer.FAILED,
                        f"The exchange was closed and opened again after each failure, and still "
                        f"did not deliver everything: {type(error).__name__}: {error}",
                    )
                time.sleep(0.1)  # the pace of the tries; the deadline is the condition
            else:
                return failures

    def change_thread(self) -> None:
        """Let another thread make the calls from now on."""
        former, self._thread = self._thread, OwnThread()
        former.end()

    def end(self) -> None:
        """Close everything, and let the thread go. Idempotent."""
        if self._ended:
            return
        self._ended = True
        if not self._hung:
            for exchange_name in self._opened:
                self.close(exchange_name)
        self._thread.end()

    def _remembered_by_broker(self, exchange_name: str) -> int:
        if Capability.MOST_RECENT_ACCEPTED not in self._capabilities:
            return 0
        accepted = self.most_recent_accepted(exchange_name)
        return accepted.event_id if accepted else 0

    def _watch(self, exchange_name: str, newest_sent: int) -> None:
        accepted = self.producer.accepted_id(exchange_name)
        before = self._accepted.get(exchange_name)
        if accepted is not None and accepted > newest_sent:
            broken(
                Producer.ACCEPTED_ID,
                f"accepted_id() is {accepted}, but the newest id sent is {newest_sent}.",
            )
        if before is not None and (accepted is None or accepted < before):
            broken(
                Producer.ACCEPTED_ID_RISES, f"accepted_id() went from {before} down to {accepted}."
            )
        self._accepted[exchange_name] = accepted

    def _call(
        self,
        name: str,
        call: Callable[[], Result],
        exchange_name: str | None = None,
        seconds: float | None = None,
    ) -> Result:
        patience = seconds or self._patience
        try:
            return self._thread.run(patience, call)
        except HungError:
            self._hung = True
            broken(Producer.DEADLINE, f"{name} has not returned within {patience:.0f} s.")
        except Exception as error:
            self._examine(name, error, exchange_name)
            raise

    def _examine(self, name: str, error: BaseException, exchange_name: str | None) -> None:
        link: BaseException | None = error
        while link is not None:
            for secret in self._secrets:
                if secret in str(link) or secret in repr(link):
                    shown = repr(link).replace(secret, "<the secret>")
                    broken(Producer.NO_SECRET, f"{name} raised an error with the secret: {shown}")
            link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if not isinstance(error, DeliveryError) or exchange_name is None:
            return
        if isinstance(error, NotAcceptedError):
            error.add_note(NO_SUBSCRIBER)
        check(
            exchange_name in str(error),
            Producer.ERRORS,
            f"{name} raised {type(error).__name__} without the exchange's name {exchange_name!r}: "
            f"{str(error)!r}",
        )
        check(
            error.exchange_name == exchange_name,
            Producer.ERRORS,
            f"{name} raised {type(error).__name__} with exchange_name={error.exchange_name!r}.",
        )


def _nothing() -> None:
    return
