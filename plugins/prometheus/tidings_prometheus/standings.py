"""Looks into the databases for a scrape, and never for longer than it may take."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeAlias

from tidings.plugins import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tidings.plugins import Standing

    Look: TypeAlias = Callable[[Iterable[str]], Iterator[tuple[str, Standing]]]

log = escaping_logger("tidings.prometheus")


class Standings:
    """Asks how far exchanges have got; a database that hangs costs a scrape only so long.

    **Threads.** Any may ask; they are answered one after the other. The asking itself is done by a
    thread of its own, so that one that hangs can be left behind. While it does, nobody else asks.
    """

    def __init__(self, look: Look, timeout: float) -> None:
        self._look = look
        self._timeout = timeout
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def of(self, names: Sequence[str]) -> Mapping[str, Standing]:
        """Return how far these have got; without those of which it could not be found out."""
        until = time.monotonic() + self._timeout
        with self._lock:
            if self._thread is not None:
                self._thread.join(max(until - time.monotonic(), 0))
                if self._thread.is_alive():
                    return {}
            found: dict[str, Standing] = {}
            self._thread = threading.Thread(
                target=self._find, args=[names, found], name="tidings-metrics", daemon=True
            )
            self._thread.start()
            self._thread.join(max(until - time.monotonic(), 0))
            return dict(found)

    def _find(self, names: Sequence[str], found: dict[str, Standing]) -> None:
        try:
            found.update(self._look(names))  # each as it comes, should the time run out
        except Exception as error:  # noqa: BLE001 - a metric says so, and the relay tells why
            log.debug("Could not look how far exchanges have got: %s", error)
