"""A relay from a configuration, and what its observers show."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from tests.prometheus.scraped import Scraped
from tidings import NewEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings import Tidings


@contextmanager
def relaying(tidings: Tidings) -> Iterator[None]:
    worker = tidings.worker([])
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.shut_down()
        thread.join(30)


def append(tidings: Tidings, count: int = 1) -> None:
    with closing(tidings.event_store()) as store, store.transaction() as transaction:
        store.append(transaction, *(NewEvent("OrderPlaced", {}) for _ in range(count)))


def scrape(tidings: Tidings) -> Scraped:
    shown = tidings.observers.exposition("")
    assert shown is not None
    return Scraped(shown.body.decode())
