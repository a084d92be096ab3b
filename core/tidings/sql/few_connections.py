"""A database that any number of threads use by a few connections."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Self

from sqlalchemy.pool import QueuePool
from typing_extensions import override

from tidings.sql.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

MOST = 4
"""Connections that are in use at once, as long as their calls end."""
PATIENCE = 0.5
"""Seconds in which none of them came back, until one more is used."""


class FewConnections(Database):
    """A database whose short calls take turns on :data:`MOST` connections.

    A call that lasts (it waits for a lock, say) holds up the others for :data:`PATIENCE` at the
    most. Then one connection more is used, until fewer will do again.
    """

    # The turns bound them, and not the pool: who waited there would wait for a call that lasts.
    _pool: ClassVar[Mapping[str, Any]] = {
        "poolclass": QueuePool,
        "pool_size": MOST + 1,
        "max_overflow": -1,
    }

    @override
    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._turns, super().transaction() as connection:
            yield connection

    @override
    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        with self._turns, super().autocommit() as connection:
            yield connection

    def transaction_at_once(self) -> AbstractContextManager[Connection]:
        """Begin a transaction out of turn, for what nobody may hold up."""
        return super().transaction()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._turns = Turns(MOST, PATIENCE)


class Turns:
    """Lets so many at a time inside of ``with``, and one more each time that nobody moves.

    **Threads.** Any thread may enter.
    """

    def __init__(self, most: int, patience: float) -> None:
        """Let ``most`` in, and another one after ``patience`` seconds in which nobody came out."""
        self._most = self._limit = most
        self.patience = patience
        self._inside = 0
        self._moved = 0.0
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        with self._changed:
            while self._inside >= self._limit:
                left = self._moved + self.patience - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                else:
                    self._limit += 1
            self._inside += 1
            self._moved = time.monotonic()
        return self

    def __exit__(self, *_failure: object) -> None:
        with self._changed:
            self._inside -= 1
            if self._inside < self._most:
                self._limit = self._most
            self._moved = time.monotonic()
            self._changed.notify()
