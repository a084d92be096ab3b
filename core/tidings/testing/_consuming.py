"""Uses a consumer, watching every call."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from tidings.interfaces import MessageConsumer, ReceivedMessage
from tidings.testing._judging import broken, check
from tidings.testing._making import make_at
from tidings.testing._own_thread import HungError, OwnThread
from tidings.testing.promises import Consumer, Producer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tidings.interfaces import Notification
    from tidings.testing._making import MakeConsumer

Result = TypeVar("Result")

BRIEF = 0.3
"""Seconds for which a test waits on an empty exchange."""


class Publish(Protocol):
    """Lets notifications stand on an exchange."""

    def __call__(self, exchange_name: str, notifications: Sequence[Notification], /) -> None:
        """Return when an open consumer gets them."""


@contextmanager
def driven(
    make: MakeConsumer, patience: float, secrets: Sequence[str]
) -> Iterator[Callable[..., DrivenConsumer]]:
    """Give a function that makes driven consumers, and close what it made at the end."""
    made: list[DrivenConsumer] = []

    def make_driven(via: tuple[str, int] | None = None) -> DrivenConsumer:
        made.append(DrivenConsumer(make, via, patience, secrets))
        return made[-1]

    yield make_driven
    for each in made:
        each.end()


class DrivenConsumer:
    """A consumer whose calls all run on one thread of its own, each with a deadline."""

    def __init__(
        self,
        make: MakeConsumer,
        via: tuple[str, int] | None,
        patience: float,
        secrets: Sequence[str],
    ) -> None:
        self._patience = patience
        self._secrets = secrets
        self._thread = OwnThread()
        self._ended = False
        self.consumer = self._call("making it", lambda: make_at(make, via))
        check(
            isinstance(self.consumer, MessageConsumer),
            "a plugin's factory returns a MessageConsumer",
            f"make_consumer returned {self.consumer!r}, which is no MessageConsumer.",
        )

    def select(self, routing_keys: Sequence[str]) -> None:
        """Ask for these only."""
        self._call("select()", lambda: self.consumer.select(routing_keys))

    def select_partitions(self, partitions: Sequence[int], of: int) -> None:
        """Ask for these only."""
        self._call("select_partitions()", lambda: self.consumer.select_partitions(partitions, of))

    def open(self, exchange_name: str) -> None:
        """Open the exchange."""
        self._call("open()", lambda: self.consumer.open(exchange_name))

    def receive(self, timeout: float) -> ReceivedMessage | None:
        """Receive one message."""
        return self._call("receive()", lambda: self.consumer.receive(timeout))

    def receive_all(
        self, sent: Sequence[Notification], *, acknowledge: bool
    ) -> list[ReceivedMessage]:
        """Receive until every one of ``sent`` has come; fail if one doesn't."""
        missing = {str(each.event_id) for each in sent}
        received: list[ReceivedMessage] = []
        deadline = time.monotonic() + self._patience
        while missing and time.monotonic() < deadline:
            message = self.receive(1.0)
            if message is None:
                continue
            received.append(message)
            missing.discard(message.message_id)
            if acknowledge:
                self.acknowledge(message)
        check(
            not missing,
            Consumer.AGAIN,
            f"Of {len(sent)} messages {len(missing)} did not come within {self._patience:.0f} s: "
            f"{sorted(missing)[:5]}.",
        )
        return received

    def wait(self, seconds: float) -> None:
        """Let the connection be looked after."""
        self._call("wait()", lambda: self.consumer.wait(seconds))

    def acknowledge(self, message: ReceivedMessage) -> None:
        """Acknowledge one message."""
        self._call("acknowledge()", lambda: self.consumer.acknowledge(message))

    def close(self) -> None:
        """Close, and see that it never raises."""
        try:
            self._call("close()", self.consumer.close)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            broken(Consumer.CLOSE, f"close() raised {error!r}.")

    def end(self) -> None:
        """Close, and let the thread go. Idempotent."""
        if not self._ended:
            self._ended = True
            self.close()
            self._thread.end()

    def _call(self, name: str, call: Callable[[], Result]) -> Result:
        try:
            return self._thread.run(self._patience, call)
        except HungError:
            self._ended = True
            broken(Producer.DEADLINE, f"{name} has not returned within {self._patience:.0f} s.")
        except Exception as error:
            for secret in self._secrets:
                check(
                    secret not in f"{error} {error!r}",
                    Producer.NO_SECRET,
                    f"{name} raised a {type(error).__name__} with the secret in it.",
                )
            raise
