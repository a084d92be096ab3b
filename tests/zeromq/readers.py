"""A subscriber in a thread of its own."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

from tests.zeromq.events import EXCHANGE
from tidings.testing import eventually
from tidings_zeromq import Subscriber

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings.plugins import ReceivedMessage


class Reader:
    """Reads an exchange until it is told to stop; acknowledges each message, or none."""

    def __init__(
        self,
        address: str,
        name: str = "app",
        *,
        exchange_name: str = EXCHANGE,
        acknowledge: bool = True,
        seconds_each: float = 0.0,
        **options: Any,
    ) -> None:
        self.messages: list[ReceivedMessage] = []
        self.error: Exception | None = None
        self._acknowledge = acknowledge
        self._seconds_each = seconds_each
        self._subscriber = Subscriber(
            connect=address, exchange_name=exchange_name, name=name, **options
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"reader {name}")

    @property
    def ids(self) -> Sequence[int]:
        return [int(message.message_id) for message in self.messages]

    @property
    def last_id(self) -> int | None:
        return self._subscriber.last_id

    @property
    def gone(self) -> range | None:
        return self._subscriber.gone

    @property
    def store(self) -> str:
        return self._subscriber.store

    def wait_for(self, count: int, seconds: float = 20.0) -> None:
        eventually(lambda: len(self.messages) >= count, f"{count} messages", seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the subscriber does not come back from receive()"

    def _read(self) -> None:
        try:
            with self._subscriber as subscriber:
                while not self._stop.is_set():
                    message = subscriber.receive(0.05)
                    if message is not None:
                        self.messages.append(message)
                        time.sleep(self._seconds_each)  # its slowness is what is tested
                        if self._acknowledge:
                            subscriber.acknowledge(message)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error
