"""Waiting for a condition, and doing work beside the test."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sqlalchemy import text
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine


class Beside(threading.Thread):
    """Runs a function beside the test; `result` waits for it, and raises what it raised."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: BaseException | None = None
        self.start()

    @override
    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised again by result()
            self._error = error

    def result(self, seconds: float = 60.0) -> None:
        self.join(seconds)
        assert not self.is_alive(), f"still at work after {seconds} s"
        if self._error is not None:
            raise self._error


def waits_for_locks(engine: Engine) -> int:
    """Return how many sessions of a server wait for somebody's lock, as it is just now."""
    if engine.dialect.name == "postgresql":
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    else:
        # Not information_schema.innodb_trx: it is a copy, which isn't made anew while it is read
        # more often than every 0.1 s.
        query = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"
    with engine.connect() as connection:
        return int(connection.execute(text(query)).one()[-1])
