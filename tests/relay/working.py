"""Runs a worker for as long as a test needs it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidings.relay.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.relay.route import Route


@contextmanager
def running(*routes: Route, **options: Any) -> Iterator[Worker]:
    """Run a worker, and stop it."""
    worker = Worker(routes, **{"poll_seconds": 0.02, **options})
    thread = threading.Thread(target=worker.run, name="worker")
    thread.start()
    try:
        yield worker
    finally:
        worker.shut_down()
        thread.join(30)
        assert not thread.is_alive()
