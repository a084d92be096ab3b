"""An application that goes on recording events, whatever else happens."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from tidings import NewEvent
from tidings.errors import TidingsError

if TYPE_CHECKING:
    import random

    from tidings.bootstrap import Tidings

BODY = {"text": "x" * 250}
LONGEST_PAUSE = 0.1


class Writer:
    """Commits a small transaction every now and then; one that fails is forgotten."""

    def __init__(self, tidings: Tidings, random: random.Random) -> None:
        self._store = tidings.event_store()
        self._random = random
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write, name="chaos writer", daemon=True)
        self.committed = 0
        """Transactions known to be committed; one whose commit failed may be, too."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._store.close()

    def _write(self) -> None:
        while not self._stopping.wait(self._random.uniform(0.01, LONGEST_PAUSE)):
            try:
                with self._store.transaction() as transaction:
                    events = [NewEvent("Small", BODY)] * self._random.randint(1, 5)
                    self._store.append(transaction, *events)
            except (TidingsError, SQLAlchemyError):
                continue
            self.committed += 1
